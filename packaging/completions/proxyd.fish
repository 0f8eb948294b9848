# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_proxyd_global_optspecs
    string join \n config= auth-dir= listen= control-socket= log-level= log-format= h/help V/version
end

function __fish_proxyd_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_proxyd_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_proxyd_using_subcommand
    set -l cmd (__fish_proxyd_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c proxyd -n "__fish_proxyd_needs_command" -l config -d 'Read this configuration file, and config.d/*.toml beside it' -r -F
complete -c proxyd -n "__fish_proxyd_needs_command" -l auth-dir -d 'Keep the accounts in this directory' -r -F
complete -c proxyd -n "__fish_proxyd_needs_command" -l listen -d 'Serve HTTP on this address, ip:port or unix:/path; may be given several times' -r
complete -c proxyd -n "__fish_proxyd_needs_command" -l control-socket -d 'Serve the control plane on this unix socket' -r -F
complete -c proxyd -n "__fish_proxyd_needs_command" -l log-level -d 'error, warn, info, debug or trace' -r
complete -c proxyd -n "__fish_proxyd_needs_command" -l log-format -d 'auto, text, json or journal' -r
complete -c proxyd -n "__fish_proxyd_needs_command" -s h -l help -d 'Print help'
complete -c proxyd -n "__fish_proxyd_needs_command" -s V -l version -d 'Print version'
complete -c proxyd -n "__fish_proxyd_needs_command" -f -a "check-config" -d 'Check the configuration, report every mistake, and exit'
complete -c proxyd -n "__fish_proxyd_needs_command" -f -a "print-config" -d 'Print each value of the configuration with its origin, and exit'
complete -c proxyd -n "__fish_proxyd_using_subcommand check-config" -l config -d 'Read this configuration file, and config.d/*.toml beside it' -r -F
complete -c proxyd -n "__fish_proxyd_using_subcommand check-config" -l auth-dir -d 'Keep the accounts in this directory' -r -F
complete -c proxyd -n "__fish_proxyd_using_subcommand check-config" -l listen -d 'Serve HTTP on this address, ip:port or unix:/path; may be given several times' -r
complete -c proxyd -n "__fish_proxyd_using_subcommand check-config" -l control-socket -d 'Serve the control plane on this unix socket' -r -F
complete -c proxyd -n "__fish_proxyd_using_subcommand check-config" -l log-level -d 'error, warn, info, debug or trace' -r
complete -c proxyd -n "__fish_proxyd_using_subcommand check-config" -l log-format -d 'auto, text, json or journal' -r
complete -c proxyd -n "__fish_proxyd_using_subcommand check-config" -s h -l help -d 'Print help'
complete -c proxyd -n "__fish_proxyd_using_subcommand print-config" -l config -d 'Read this configuration file, and config.d/*.toml beside it' -r -F
complete -c proxyd -n "__fish_proxyd_using_subcommand print-config" -l auth-dir -d 'Keep the accounts in this directory' -r -F
complete -c proxyd -n "__fish_proxyd_using_subcommand print-config" -l listen -d 'Serve HTTP on this address, ip:port or unix:/path; may be given several times' -r
complete -c proxyd -n "__fish_proxyd_using_subcommand print-config" -l control-socket -d 'Serve the control plane on this unix socket' -r -F
complete -c proxyd -n "__fish_proxyd_using_subcommand print-config" -l log-level -d 'error, warn, info, debug or trace' -r
complete -c proxyd -n "__fish_proxyd_using_subcommand print-config" -l log-format -d 'auto, text, json or journal' -r
complete -c proxyd -n "__fish_proxyd_using_subcommand print-config" -s h -l help -d 'Print help'
