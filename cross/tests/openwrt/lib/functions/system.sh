# shellcheck shell=dash
get_mac_label() { echo "$TEST_LABEL_MAC"; }
board_name() { echo 'acme,ac-1000'; }
