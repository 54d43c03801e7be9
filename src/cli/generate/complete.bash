# Completes sysalert's command line in bash. `sysalert complete` knows what a word may become; this asks it.

_sysalert() {
    local words=("${COMP_WORDS[@]}") cword=$COMP_CWORD line word head quote
    # bash takes check:storage:/var and --output=json apart; bash-completion, where it is loaded, does not
    if declare -F _get_comp_words_by_ref >/dev/null; then _get_comp_words_by_ref -n '=:@' -w words -i cword; fi
    local cur=${words[cword]}
    # what an earlier completion has quoted
    case $cur in
    [\'\"]*) quote=1 cur=${cur:1} ;;
    *) cur=${cur//\\\\/\\} ;;
    esac
    # readline replaces only what stands behind the last of these
    head=${cur%"${cur##*[=:@]}"}
    COMPREPLY=()
    while IFS= read -r line; do
        case $line in
        $'\tfiles') compopt -o default ;;
        $'\tfolders') compopt -o dirnames ;;
        *)
            word=${line%%$'\t'*} word=${word#"$head"}
            [[ -n ${quote-} ]] || printf -v word %q "$word"
            COMPREPLY+=("$word")
            ;;
        esac
    done < <(sysalert complete -- "${words[@]:1:cword-1}" "$cur" 2>/dev/null)
    # the value of an option follows at once
    [[ ${#COMPREPLY[@]} != 1 || ${COMPREPLY[0]} != *= ]] || compopt -o nospace
}

complete -F _sysalert sysalert
