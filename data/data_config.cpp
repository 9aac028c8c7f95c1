#include "data/data_config.h"

namespace weft {

void DataConfig::fields(FieldList& list) {
  list.key("train", train, TextRule::path,
           "Training data: directories written by weft prepare, or token files; relative to the "
           "current directory.");
  list.key("validation", validation, TextRule::path,
           "Held-out data for evaluation, given as for train.");
  list.key("format", format,
           "Layout of the data: auto looks at the file, weft is weft prepare's, llmc is llm.c's "
           ".bin, megatron is Megatron's .bin and .idx.");
  list.key("order", order,
           "windows: shuffled windows of the token stream; documents: shuffled documents, packed "
           "into sequences.");
  list.key_auto("stride", stride, between(1, 1 << 30), "tokens", "train.sequence_length",
                "Distance between the starts of neighbouring windows; order: windows only.");
  list.key("verify", verify,
           "When files are read through to be held to their digests. once: at the first start "
           "with a file, and again when its size, inode or times have changed; always: at every "
           "start; never: not at all, but for what files of other programs do not record.");
}

}  // namespace weft
