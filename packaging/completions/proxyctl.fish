# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_proxyctl_global_optspecs
    string join \n socket= json h/help V/version
end

function __fish_proxyctl_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_proxyctl_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_proxyctl_using_subcommand
    set -l cmd (__fish_proxyctl_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c proxyctl -n "__fish_proxyctl_needs_command" -l socket -d 'The daemon\'s control socket [default: the one of this user\'s daemon, else the system\'s]' -r -F
complete -c proxyctl -n "__fish_proxyctl_needs_command" -l json -d 'Print JSON for programs, one document (of a login: one event) a line'
complete -c proxyctl -n "__fish_proxyctl_needs_command" -s h -l help -d 'Print help'
complete -c proxyctl -n "__fish_proxyctl_needs_command" -s V -l version -d 'Print version'
complete -c proxyctl -n "__fish_proxyctl_needs_command" -f -a "login" -d 'Log an account in with the browser'
complete -c proxyctl -n "__fish_proxyctl_needs_command" -f -a "accounts" -d 'Show the accounts of the pool and change them'
complete -c proxyctl -n "__fish_proxyctl_needs_command" -f -a "status" -d 'Show whether the daemon is well, and what to do if not'
complete -c proxyctl -n "__fish_proxyctl_needs_command" -f -a "completions" -d 'Print the completions of a shell'
complete -c proxyctl -n "__fish_proxyctl_using_subcommand login" -l callback-port -d 'The loopback port that receives the browser\'s answer [default: the daemon\'s, or the next that is free]' -r
complete -c proxyctl -n "__fish_proxyctl_using_subcommand login" -l timeout -d 'How long to wait for the answer, as in 90s or 2m; five minutes at most' -r
complete -c proxyctl -n "__fish_proxyctl_using_subcommand login" -l socket -d 'The daemon\'s control socket [default: the one of this user\'s daemon, else the system\'s]' -r -F
complete -c proxyctl -n "__fish_proxyctl_using_subcommand login" -l no-browser -d 'Open no browser: print the URL and accept the pasted answer'
complete -c proxyctl -n "__fish_proxyctl_using_subcommand login" -l json -d 'Print JSON for programs, one document (of a login: one event) a line'
complete -c proxyctl -n "__fish_proxyctl_using_subcommand login" -s h -l help -d 'Print help'
complete -c proxyctl -n "__fish_proxyctl_using_subcommand accounts; and not __fish_seen_subcommand_from list show add revoke disable enable refresh" -l socket -d 'The daemon\'s control socket [default: the one of this user\'s daemon, else the system\'s]' -r -F
complete -c proxyctl -n "__fish_proxyctl_using_subcommand accounts; and not __fish_seen_subcommand_from list show add revoke disable enable refresh" -l json -d 'Print JSON for programs, one document (of a login: one event) a line'
complete -c proxyctl -n "__fish_proxyctl_using_subcommand accounts; and not __fish_seen_subcommand_from list show add revoke disable enable refresh" -s h -l help -d 'Print help'
complete -c proxyctl -n "__fish_proxyctl_using_subcommand accounts; and not __fish_seen_subcommand_from list show add revoke disable enable refresh" -f -a "list" -d 'List the accounts, and the files that are not used with the reason'
complete -c proxyctl -n "__fish_proxyctl_using_subcommand accounts; and not __fish_seen_subcommand_from list show add revoke disable enable refresh" -f -a "show" -d 'Show everything about one account'
complete -c proxyctl -n "__fish_proxyctl_using_subcommand accounts; and not __fish_seen_subcommand_from list show add revoke disable enable refresh" -f -a "add" -d 'Put an API key into the pool'
complete -c proxyctl -n "__fish_proxyctl_using_subcommand accounts; and not __fish_seen_subcommand_from list show add revoke disable enable refresh" -f -a "revoke" -d 'Revoke an account at the provider and delete its file'
complete -c proxyctl -n "__fish_proxyctl_using_subcommand accounts; and not __fish_seen_subcommand_from list show add revoke disable enable refresh" -f -a "disable" -d 'Take an account out of use and keep it'
complete -c proxyctl -n "__fish_proxyctl_using_subcommand accounts; and not __fish_seen_subcommand_from list show add revoke disable enable refresh" -f -a "enable" -d 'Take a disabled account back into use'
complete -c proxyctl -n "__fish_proxyctl_using_subcommand accounts; and not __fish_seen_subcommand_from list show add revoke disable enable refresh" -f -a "refresh" -d 'Refresh an account\'s token now and say how it went'
complete -c proxyctl -n "__fish_proxyctl_using_subcommand accounts; and __fish_seen_subcommand_from list" -l socket -d 'The daemon\'s control socket [default: the one of this user\'s daemon, else the system\'s]' -r -F
complete -c proxyctl -n "__fish_proxyctl_using_subcommand accounts; and __fish_seen_subcommand_from list" -l json -d 'Print JSON for programs, one document (of a login: one event) a line'
complete -c proxyctl -n "__fish_proxyctl_using_subcommand accounts; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help'
complete -c proxyctl -n "__fish_proxyctl_using_subcommand accounts; and __fish_seen_subcommand_from show" -l socket -d 'The daemon\'s control socket [default: the one of this user\'s daemon, else the system\'s]' -r -F
complete -c proxyctl -n "__fish_proxyctl_using_subcommand accounts; and __fish_seen_subcommand_from show" -l json -d 'Print JSON for programs, one document (of a login: one event) a line'
complete -c proxyctl -n "__fish_proxyctl_using_subcommand accounts; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help'
complete -c proxyctl -n "__fish_proxyctl_using_subcommand accounts; and __fish_seen_subcommand_from add" -l key-file -d 'The file that holds the key on one line; `-` reads standard input' -r -F
complete -c proxyctl -n "__fish_proxyctl_using_subcommand accounts; and __fish_seen_subcommand_from add" -l label -d 'A name for the account' -r
complete -c proxyctl -n "__fish_proxyctl_using_subcommand accounts; and __fish_seen_subcommand_from add" -l socket -d 'The daemon\'s control socket [default: the one of this user\'s daemon, else the system\'s]' -r -F
complete -c proxyctl -n "__fish_proxyctl_using_subcommand accounts; and __fish_seen_subcommand_from add" -l json -d 'Print JSON for programs, one document (of a login: one event) a line'
complete -c proxyctl -n "__fish_proxyctl_using_subcommand accounts; and __fish_seen_subcommand_from add" -s h -l help -d 'Print help'
complete -c proxyctl -n "__fish_proxyctl_using_subcommand accounts; and __fish_seen_subcommand_from revoke" -l socket -d 'The daemon\'s control socket [default: the one of this user\'s daemon, else the system\'s]' -r -F
complete -c proxyctl -n "__fish_proxyctl_using_subcommand accounts; and __fish_seen_subcommand_from revoke" -s y -l yes -d 'Do not ask; needed where standard input is not a terminal'
complete -c proxyctl -n "__fish_proxyctl_using_subcommand accounts; and __fish_seen_subcommand_from revoke" -l json -d 'Print JSON for programs, one document (of a login: one event) a line'
complete -c proxyctl -n "__fish_proxyctl_using_subcommand accounts; and __fish_seen_subcommand_from revoke" -s h -l help -d 'Print help'
complete -c proxyctl -n "__fish_proxyctl_using_subcommand accounts; and __fish_seen_subcommand_from disable" -l socket -d 'The daemon\'s control socket [default: the one of this user\'s daemon, else the system\'s]' -r -F
complete -c proxyctl -n "__fish_proxyctl_using_subcommand accounts; and __fish_seen_subcommand_from disable" -l json -d 'Print JSON for programs, one document (of a login: one event) a line'
complete -c proxyctl -n "__fish_proxyctl_using_subcommand accounts; and __fish_seen_subcommand_from disable" -s h -l help -d 'Print help'
complete -c proxyctl -n "__fish_proxyctl_using_subcommand accounts; and __fish_seen_subcommand_from enable" -l socket -d 'The daemon\'s control socket [default: the one of this user\'s daemon, else the system\'s]' -r -F
complete -c proxyctl -n "__fish_proxyctl_using_subcommand accounts; and __fish_seen_subcommand_from enable" -l json -d 'Print JSON for programs, one document (of a login: one event) a line'
complete -c proxyctl -n "__fish_proxyctl_using_subcommand accounts; and __fish_seen_subcommand_from enable" -s h -l help -d 'Print help'
complete -c proxyctl -n "__fish_proxyctl_using_subcommand accounts; and __fish_seen_subcommand_from refresh" -l socket -d 'The daemon\'s control socket [default: the one of this user\'s daemon, else the system\'s]' -r -F
complete -c proxyctl -n "__fish_proxyctl_using_subcommand accounts; and __fish_seen_subcommand_from refresh" -l json -d 'Print JSON for programs, one document (of a login: one event) a line'
complete -c proxyctl -n "__fish_proxyctl_using_subcommand accounts; and __fish_seen_subcommand_from refresh" -s h -l help -d 'Print help'
complete -c proxyctl -n "__fish_proxyctl_using_subcommand status" -l socket -d 'The daemon\'s control socket [default: the one of this user\'s daemon, else the system\'s]' -r -F
complete -c proxyctl -n "__fish_proxyctl_using_subcommand status" -l json -d 'Print JSON for programs, one document (of a login: one event) a line'
complete -c proxyctl -n "__fish_proxyctl_using_subcommand status" -s h -l help -d 'Print help'
complete -c proxyctl -n "__fish_proxyctl_using_subcommand completions" -l socket -d 'The daemon\'s control socket [default: the one of this user\'s daemon, else the system\'s]' -r -F
complete -c proxyctl -n "__fish_proxyctl_using_subcommand completions" -l json -d 'Print JSON for programs, one document (of a login: one event) a line'
complete -c proxyctl -n "__fish_proxyctl_using_subcommand completions" -s h -l help -d 'Print help'
