#!/bin/sh
# embed.sh INPUT OUTPUT NAME: a C++ header with the text of INPUT as NAME.
set -eu
{
    echo '#pragma once'
    echo '#include <string_view>'
    echo 'namespace nett::builder {'
    printf 'inline constexpr std::string_view %s = R"nett(' "$3"
    cat "$1"
    echo ')nett";'
    echo '}'
} >"$2"
