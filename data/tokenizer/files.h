// Whole small files in and out, with errors that say what to do.
#pragma once

#include <fstream>
#include <string>
#include <string_view>

namespace weft::tokenizer_detail {

// Opens a file for reading. `what` names its role in messages ("vocabulary"). Throws Error{input}
// where it is missing, no regular file or not readable.
std::ifstream open_file(const std::string& path, std::string_view what);

// The bytes of a file; as open_file, and Error{input} where it is empty or larger than 1 GiB.
std::string read_file(const std::string& path, std::string_view what);

// Writes the file to the side and renames it into place. Throws Error{io}.
void write_file(const std::string& path, std::string_view bytes);

}  // namespace weft::tokenizer_detail
