# The part of OpenWrt's rules.mk that cross/openwrt/Makefile uses, and a goal that installs the package's files.
INCLUDE_DIR:=$(TOPDIR)/include
INSTALL_BIN:=install -m 0755
INSTALL_DIR:=install -d -m 0755
INSTALL_DATA:=install -m 0644
INSTALL_CONF:=install -m 0600
CP:=cp -fpR
comma:=,
