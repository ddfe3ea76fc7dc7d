#compdef cpe-agent
# Completion of cpe-agent for zsh. tests/it/documents/completion.rs writes this file from `cpe-agent help`.

_cpe_agent() {
    local curcontext=$curcontext state
    local -a commands
    commands=(
        'run:run the agent in the foreground'
        'check:validate configuration and data model; contact no server'
        'doctor:check sessions, storage, actions, ACS, TLS, STUN and ports'
        'get:print values, one path=value a line'
        'source:show where values come from\: source, text of the device, value'
        'set:change values, all or none'
        'add:create an instance and print its number'
        'delete:delete an instance'
        'watch:print changes of values as they come'
        'inform:start a session now, with "2 PERIODIC" or the given event code'
        'download:download a file and apply it'
        'upload:upload a file of the device'
        'software:install, update or uninstall software'
        'request-download:ask the ACS for a file'
        'dhcp:hand over what a DHCP client received'
        'ping:send echo requests to a host, and print their times'
        'traceroute:print the routers on the way to a host'
        'trace:record sessions into a new file, without secrets'
        'replay:play a trace against a fresh agent and show the differences'
        'lookup:ask a name server for the addresses of a name'
        'speed:measure the speed of a download or an upload'
        'applied:tell the agent that the services have reloaded'
        'status:print the state of the agent, or check it for a script'
        'help:explain a command and list its options'
    )
    _arguments -C '1:command:->command' '*::argument:->argument' && return
    case $state in
    command) _describe -t commands command commands ;;
    argument)
        case $words[1] in
        run)
            _arguments \
                '--config=[the JSON file]:FILE:_files' \
                '*--data-model=[data model; later files overlay it]:FILE:_files' \
                '--optional-data-model=[overlay that may be missing, after those of --data-model]:FILE:_files' \
                '*--set=[factory value in place of the model'\''s, at every start]:PATH=VALUE:' \
                '--state-dir=[the journal, which must survive a reboot]:DIR:_files -/' \
                '--transfer-dir=[files in transfer; the state directory if absent]:DIR:_files -/' \
                '--listen=[connection requests over HTTP; port 0\: any]:ADDR\:PORT:' \
                '--udp-listen=[connection requests over UDP, and STUN]:ADDR\:PORT:' \
                '--control=[the control socket]:FILE:_files' \
                '--dhcp-dir=[options of DHCP, on a RAM disk; allows discovery]:DIR:_files -/' \
                '--boot-id=[changed content\: the device rebooted]:FILE:_files' \
                '--ca-file=[PEM certificates to trust instead of the system'\''s]:FILE:_files' \
                '--client-cert=[PEM certificate to identify with]:FILE:_files' \
                '--client-key=[PEM key of that certificate]:FILE:_files' \
                '--acs-timeout=[longest wait for the ACS; TR-069 demands 30 at least]:SECONDS:' \
                '--metrics=[metrics for Prometheus, on a RAM disk]:FILE:_files' \
                '--log=[one of error, warn, info, debug and trace]:LEVEL:(error warn info debug trace)' \
                '--log-to=[one of stderr and syslog]:WHERE:(stderr syslog)' \
                '--help[explain the command]'
            ;;
        check)
            _arguments \
                '--config=[the JSON file]:FILE:_files' \
                '*--data-model=[data model; later files overlay it]:FILE:_files' \
                '--optional-data-model=[overlay that may be missing, after those of --data-model]:FILE:_files' \
                '*--set=[factory value in place of the model'\''s, at every start]:PATH=VALUE:' \
                '--state-dir=[the journal, which must survive a reboot]:DIR:_files -/' \
                '--transfer-dir=[files in transfer; the state directory if absent]:DIR:_files -/' \
                '--listen=[connection requests over HTTP; port 0\: any]:ADDR\:PORT:' \
                '--udp-listen=[connection requests over UDP, and STUN]:ADDR\:PORT:' \
                '--control=[the control socket]:FILE:_files' \
                '--dhcp-dir=[options of DHCP, on a RAM disk; allows discovery]:DIR:_files -/' \
                '--boot-id=[changed content\: the device rebooted]:FILE:_files' \
                '--ca-file=[PEM certificates to trust instead of the system'\''s]:FILE:_files' \
                '--client-cert=[PEM certificate to identify with]:FILE:_files' \
                '--client-key=[PEM key of that certificate]:FILE:_files' \
                '--acs-timeout=[longest wait for the ACS; TR-069 demands 30 at least]:SECONDS:' \
                '--metrics=[metrics for Prometheus, on a RAM disk]:FILE:_files' \
                '--log=[one of error, warn, info, debug and trace]:LEVEL:(error warn info debug trace)' \
                '--log-to=[one of stderr and syslog]:WHERE:(stderr syslog)' \
                '--device[flag]' \
                '--json[flag]' \
                '--help[explain the command]'
            ;;
        doctor)
            _arguments \
                '--config=[the JSON file]:FILE:_files' \
                '*--data-model=[data model; later files overlay it]:FILE:_files' \
                '--optional-data-model=[overlay that may be missing, after those of --data-model]:FILE:_files' \
                '*--set=[factory value in place of the model'\''s, at every start]:PATH=VALUE:' \
                '--state-dir=[the journal, which must survive a reboot]:DIR:_files -/' \
                '--transfer-dir=[files in transfer; the state directory if absent]:DIR:_files -/' \
                '--listen=[connection requests over HTTP; port 0\: any]:ADDR\:PORT:' \
                '--udp-listen=[connection requests over UDP, and STUN]:ADDR\:PORT:' \
                '--control=[the control socket]:FILE:_files' \
                '--dhcp-dir=[options of DHCP, on a RAM disk; allows discovery]:DIR:_files -/' \
                '--boot-id=[changed content\: the device rebooted]:FILE:_files' \
                '--ca-file=[PEM certificates to trust instead of the system'\''s]:FILE:_files' \
                '--client-cert=[PEM certificate to identify with]:FILE:_files' \
                '--client-key=[PEM key of that certificate]:FILE:_files' \
                '--acs-timeout=[longest wait for the ACS; TR-069 demands 30 at least]:SECONDS:' \
                '--metrics=[metrics for Prometheus, on a RAM disk]:FILE:_files' \
                '--log=[one of error, warn, info, debug and trace]:LEVEL:(error warn info debug trace)' \
                '--log-to=[one of stderr and syslog]:WHERE:(stderr syslog)' \
                '--help[explain the command]'
            ;;
        get)
            _arguments \
                '--config=[the JSON file]:FILE:_files' \
                '--control=[the control socket]:FILE:_files' \
                '--json[flag]' \
                '--value[flag]' \
                '--secret[flag]' \
                '--help[explain the command]'
            ;;
        source)
            _arguments \
                '--config=[the JSON file]:FILE:_files' \
                '--control=[the control socket]:FILE:_files' \
                '--json[flag]' \
                '--help[explain the command]'
            ;;
        set | add | delete | watch | inform | download | upload | software | request-download)
            _arguments \
                '--config=[the JSON file]:FILE:_files' \
                '--control=[the control socket]:FILE:_files' \
                '--help[explain the command]'
            ;;
        dhcp)
            _arguments \
                '--interface=[the interface that has the lease]:NAME:' \
                '--option=[option 43 or 125 of DHCPv4, in hexadecimal]:N=HEX:' \
                '--option6=[option 17 of DHCPv6]:N=HEX:' \
                '--requested=[the option, 43 or 125, that the client has asked for]:N:' \
                '--config=[the JSON file]:FILE:_files' \
                '--control=[the control socket]:FILE:_files' \
                '--dhcp-dir=[options of DHCP, on a RAM disk; allows discovery]:DIR:_files -/' \
                '--remove[flag]' \
                '--help[explain the command]'
            ;;
        ping | traceroute)
            _arguments \
                '--help[explain the command]'
            ;;
        trace)
            _arguments \
                '--config=[the JSON file]:FILE:_files' \
                '--control=[the control socket]:FILE:_files' \
                '--help[explain the command]'
            ;;
        replay)
            _arguments \
                '--config=[the JSON file]:FILE:_files' \
                '*--data-model=[data model; later files overlay it]:FILE:_files' \
                '--optional-data-model=[overlay that may be missing, after those of --data-model]:FILE:_files' \
                '*--set=[factory value in place of the model'\''s, at every start]:PATH=VALUE:' \
                '--state-dir=[the journal, which must survive a reboot]:DIR:_files -/' \
                '--transfer-dir=[files in transfer; the state directory if absent]:DIR:_files -/' \
                '--listen=[connection requests over HTTP; port 0\: any]:ADDR\:PORT:' \
                '--udp-listen=[connection requests over UDP, and STUN]:ADDR\:PORT:' \
                '--control=[the control socket]:FILE:_files' \
                '--dhcp-dir=[options of DHCP, on a RAM disk; allows discovery]:DIR:_files -/' \
                '--boot-id=[changed content\: the device rebooted]:FILE:_files' \
                '--ca-file=[PEM certificates to trust instead of the system'\''s]:FILE:_files' \
                '--client-cert=[PEM certificate to identify with]:FILE:_files' \
                '--client-key=[PEM key of that certificate]:FILE:_files' \
                '--acs-timeout=[longest wait for the ACS; TR-069 demands 30 at least]:SECONDS:' \
                '--metrics=[metrics for Prometheus, on a RAM disk]:FILE:_files' \
                '--log=[one of error, warn, info, debug and trace]:LEVEL:(error warn info debug trace)' \
                '--log-to=[one of stderr and syslog]:WHERE:(stderr syslog)' \
                '--help[explain the command]'
            ;;
        lookup)
            _arguments \
                '--help[explain the command]'
            ;;
        speed)
            _arguments \
                '--config=[the JSON file]:FILE:_files' \
                '--ca-file=[PEM certificates to trust instead of the system'\''s]:FILE:_files' \
                '--client-cert=[PEM certificate to identify with]:FILE:_files' \
                '--client-key=[PEM key of that certificate]:FILE:_files' \
                '--help[explain the command]'
            ;;
        applied)
            _arguments \
                '--config=[the JSON file]:FILE:_files' \
                '--control=[the control socket]:FILE:_files' \
                '--help[explain the command]'
            ;;
        status)
            _arguments \
                '--config=[the JSON file]:FILE:_files' \
                '--control=[the control socket]:FILE:_files' \
                '--json[flag]' \
                '--check[flag]' \
                '--help[explain the command]'
            ;;
        help) _describe -t commands command commands ;;
        esac
        ;;
    esac
}

_cpe_agent "$@"
