#!/bin/sh
# embed.sh INPUT OUTPUT: a C++ header with the text of INPUT as kBootTemplate.
set -eu
{
    echo '#pragma once'
    echo '#include <string_view>'
    echo 'namespace nett::builder {'
    printf 'inline constexpr std::string_view kBootTemplate = R"ipxe('
    cat "$1"
    echo ')ipxe";'
    echo '}'
} >"$2"
