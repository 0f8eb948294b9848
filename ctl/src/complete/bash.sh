# Completes proxyctl by asking it. Sourced by bash 4 or newer.
_proxyctl() {
    # bash ends words at COMP_WORDBREAKS, too, which e-mail addresses and labels may hold: put such words together again.
    local line=${COMP_LINE:0:COMP_POINT} words=() index part
    for ((index = 0; index < COMP_CWORD; index++)); do
        part=${COMP_WORDS[index]}
        if ((${#words[@]})) && [[ $line != [[:space:]]* ]]; then
            words[${#words[@]} - 1]+=$part
        else
            words+=("$part")
        fi
        line=${line#*"$part"}
    done
    # What is left of the line belongs to the word to complete.
    local word=${line#"${line%%[![:space:]]*}"}
    if ((${#words[@]})) && [[ $line != [[:space:]]* ]]; then
        words[${#words[@]} - 1]+=$word
        word=${words[${#words[@]} - 1]}
    else
        words+=("$word")
    fi

    # Within quotes bash wants names as they are, and outside of them with a backslash before what a shell would read.
    local quote=
    [[ $word == [\"\']* ]] && quote=${word:0:1}
    if [[ $quote ]]; then
        words[${#words[@]} - 1]=${word:1}
    else
        words[${#words[@]} - 1]=${word//\\/}
    fi

    # bash replaces only what it takes for the word: its own second argument.
    local kept=
    [[ $quote ]] || kept=${word%"$2"}

    local answer name names=()
    answer=$(
        _CLAP_IFS=$'\n' _CLAP_COMPLETE_INDEX=$((${#words[@]} - 1)) @VARIABLE@=bash \
            proxyctl -- "${words[@]}" 2>/dev/null
    ) || return
    while IFS= read -r name; do
        [[ $name ]] || continue
        if [[ $quote ]]; then
            # What means something even within quotes cannot be completed there.
            [[ $name == *[\"\'\\\`\$!]* ]] && continue
        else
            printf -v name %q "$name"
        fi
        names+=("${name#"$kept"}")
    done <<<"$answer"
    COMPREPLY=("${names[@]}")
    [[ ${#names[@]} == 1 && ${names[0]} == *[=/] ]] && compopt -o nospace
    return 0
}
if ((BASH_VERSINFO[0] > 4 || BASH_VERSINFO[0] == 4 && BASH_VERSINFO[1] >= 4)); then
    complete -o bashdefault -o nosort -F _proxyctl proxyctl
else
    complete -o bashdefault -F _proxyctl proxyctl
fi
