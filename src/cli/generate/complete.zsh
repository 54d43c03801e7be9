#compdef sysalert
# Completes sysalert's command line in zsh. `sysalert complete` knows what a word may become; this asks it.

_sysalert() {
    local line
    local -a found shown
    # as words that are typed: without their quotes
    for line in "${(@f)$(sysalert complete -- "${(@Q)words[2,CURRENT-1]}" "${(Q)PREFIX}" 2>/dev/null)}"; do
        case $line in
        '') ;;
        $'\tfiles') _files; return ;;
        $'\tfolders') _files -/; return ;;
        *)
            found+=("${line%%$'\t'*}")
            # the word, and what it is, where that is known
            shown+=("${${line/$'\t'/  -- }%  -- }")
            ;;
        esac
    done
    (( $#found )) && compadd -l -d shown -a found
}

if [[ ${funcstack[1]-} == _sysalert ]]; then _sysalert "$@"; else compdef _sysalert sysalert; fi
