# shellcheck shell=bash
# Completion of cpe-agent for bash. tests/it/documents/completion.rs writes this file from `cpe-agent help`.

_cpe_agent() {
    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} command='' words='' index
    # bash splits `--log=debug` into three words.
    if [[ $current == = ]]; then
        current=''
    elif [[ $previous == = ]]; then
        previous=${COMP_WORDS[COMP_CWORD - 2]}
    fi
    case $previous in
    --config | --data-model | --optional-data-model | --control | --boot-id | --ca-file | --client-cert | --client-key | --metrics)
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -f -- "$current")
        return
        ;;
    --state-dir | --transfer-dir | --dhcp-dir)
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -d -- "$current")
        return
        ;;
    --log)
        mapfile -t COMPREPLY < <(compgen -W 'error warn info debug trace' -- "$current")
        return
        ;;
    --log-to)
        mapfile -t COMPREPLY < <(compgen -W 'stderr syslog' -- "$current")
        return
        ;;
    --set | --listen | --udp-listen | --acs-timeout) return ;; # a value without a list
    esac
    for ((index = 1; index < COMP_CWORD; index++)); do
        case ${COMP_WORDS[index]} in
        run | check | doctor | get | source | set | add | delete | watch | inform | download | upload | software | request-download | dhcp | ping | traceroute | trace | replay | lookup | speed | applied | status | help)
            command=${COMP_WORDS[index]}
            break
            ;;
        esac
    done
    case $command in
    '') words='run check doctor get source set add delete watch inform download upload software request-download dhcp ping traceroute trace replay lookup speed applied status help --help --version' ;;
    run) words='--config --data-model --optional-data-model --set --state-dir --transfer-dir --listen --udp-listen --control --dhcp-dir --boot-id --ca-file --client-cert --client-key --acs-timeout --metrics --log --log-to --help' ;;
    check) words='--config --data-model --optional-data-model --set --state-dir --transfer-dir --listen --udp-listen --control --dhcp-dir --boot-id --ca-file --client-cert --client-key --acs-timeout --metrics --log --log-to --device --json --help' ;;
    doctor) words='--config --data-model --optional-data-model --set --state-dir --transfer-dir --listen --udp-listen --control --dhcp-dir --boot-id --ca-file --client-cert --client-key --acs-timeout --metrics --log --log-to --help' ;;
    get) words='--config --control --json --value --secret --help' ;;
    source) words='--config --control --json --help' ;;
    set | add | delete | watch | inform | download | upload | software | request-download) words='--config --control --help' ;;
    dhcp) words='--interface --option --option6 --requested --config --control --dhcp-dir --remove --help' ;;
    ping | traceroute) words='--help' ;;
    trace) words='--config --control --help' ;;
    replay) words='--config --data-model --optional-data-model --set --state-dir --transfer-dir --listen --udp-listen --control --dhcp-dir --boot-id --ca-file --client-cert --client-key --acs-timeout --metrics --log --log-to --help' ;;
    lookup) words='--help' ;;
    speed) words='--config --ca-file --client-cert --client-key --help' ;;
    applied) words='--config --control --help' ;;
    status) words='--config --control --json --check --help' ;;
    help) words='run check doctor get source set add delete watch inform download upload software request-download dhcp ping traceroute trace replay lookup speed applied status help' ;;
    esac
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}
complete -F _cpe_agent cpe-agent
