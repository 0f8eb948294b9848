# Prints what bash offers for the command line that the arguments make; the last one is the word to complete.
source <(proxyctl completions bash)
# Only bash itself can be told this.
compopt() { :; }
COMP_WORDS=("$@")
COMP_CWORD=$(($# - 1))
COMP_LINE="$*"
COMP_POINT=${#COMP_LINE}
function=$(complete -p proxyctl | sed -n 's/.*-F \([^ ]*\).*/\1/p')
"$function" proxyctl "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
printf '%s\n' "${COMPREPLY[@]}"
