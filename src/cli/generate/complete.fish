# Completes sysalert's command line in fish. `sysalert complete` knows what a word may become; this asks it.

function __sysalert_complete
    set -l words (commandline -opc)
    set -e words[1]
    set -l current (commandline -ct)
    for line in (sysalert complete -- $words "$current" 2>/dev/null)
        switch $line
            case \tfiles
                __fish_complete_path "$current"
            case \tfolders
                __fish_complete_directories "$current"
            case '*'
                echo $line
        end
    end
end

complete -c sysalert -f -a '(__sysalert_complete)'
