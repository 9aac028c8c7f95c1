# Writes the source file that says which weft this is, if it would say something new. Run by every
# build, as a commit changes without anything else that a build looks at:
#
#   cmake -D WEFT_SOURCE=DIR -D WEFT_OUTPUT=FILE -D WEFT_VERSION=0.1.0 -D WEFT_BUILD=Release
#         [-D WEFT_GIT=git] -P version.cmake
#
# Tags are not looked at: clones of one commit may have different ones.
set(WEFT_COMMIT "commit unknown")

# git COMMAND ARGUMENTS...: what it says, into `said`; empty when it fails. A clone that belongs to
# somebody else is read all the same, and nothing is written to it.
macro(git)
  set(said "")
  execute_process(COMMAND ${CMAKE_COMMAND} -E env GIT_OPTIONAL_LOCKS=0
                          ${WEFT_GIT} -c safe.directory=${WEFT_SOURCE} -C ${WEFT_SOURCE} ${ARGN}
                  OUTPUT_VARIABLE said OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE code)
  if(NOT code EQUAL 0)
    set(said "")
  endif()
endmacro()

if(WEFT_GIT)
  # A tree that was unpacked inside another project's clone is not of that project's commit.
  git(rev-parse --show-cdup)
  if(code EQUAL 0 AND said STREQUAL "")
    git(describe --always --dirty --abbrev=12 --exclude=*)
    if(said)
      set(WEFT_COMMIT ${said})
    endif()
  endif()
endif()
configure_file(${CMAKE_CURRENT_LIST_DIR}/version.cpp.in ${WEFT_OUTPUT} @ONLY)
