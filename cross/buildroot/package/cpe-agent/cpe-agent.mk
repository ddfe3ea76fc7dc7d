################################################################################
#
# cpe-agent
#
################################################################################

# The committed state of the clone that this tree belongs to. The download vendors the crates, so
# that the build itself needs no network.
CPE_AGENT_CLONE = $(abspath $(BR2_EXTERNAL_CPE_AGENT_PATH)/../..)
CPE_AGENT_VERSION = $(shell git -C $(CPE_AGENT_CLONE) rev-parse HEAD)
CPE_AGENT_SITE = file://$(CPE_AGENT_CLONE)
CPE_AGENT_SITE_METHOD = git
CPE_AGENT_LICENSE = MIT
CPE_AGENT_LICENSE_FILES = LICENSE

# A gateway has no use for the command `replay`.
CPE_AGENT_FEATURES = --no-default-features --features sources,dhcp,diagnostics
ifeq ($(BR2_PACKAGE_CPE_AGENT_TLS),y)
CPE_AGENT_FEATURES += --features tls,xmpp,doctor
endif
CPE_AGENT_CARGO_BUILD_OPTS = --bin cpe-agent $(CPE_AGENT_FEATURES)
CPE_AGENT_CARGO_INSTALL_OPTS = --bin cpe-agent $(CPE_AGENT_FEATURES)

CPE_AGENT_DEVICE = $(call qstrip,$(BR2_PACKAGE_CPE_AGENT_DATA_MODEL))
CPE_AGENT_OWN_CONFIG = $(call qstrip,$(BR2_PACKAGE_CPE_AGENT_CONFIG))

# cargo installs programs into /usr/bin; a daemon belongs into /usr/sbin.
define CPE_AGENT_INSTALL_FILES
	rm -f $(TARGET_DIR)/usr/bin/cpe-agent
	$(INSTALL) -D -m 0755 $(@D)/target/$(RUSTC_TARGET_NAME)/$(if $(BR2_ENABLE_DEBUG),debug,release)/cpe-agent \
		$(TARGET_DIR)/usr/sbin/cpe-agent
	$(INSTALL) -D -m 0755 $(@D)/cross/dhcp/udhcpc \
		$(TARGET_DIR)/usr/share/udhcpc/default.script.d/cpe-agent
	$(INSTALL) -D -m 0644 $(@D)/data-model/tr-181.json $(TARGET_DIR)/usr/share/cpe-agent/tr-181.json
	$(INSTALL) -D -m 0644 $(@D)/data-model/tr-098.json $(TARGET_DIR)/usr/share/cpe-agent/tr-098.json
	$(INSTALL) -D -m 0644 $(@D)/data-model/linux.json $(TARGET_DIR)/usr/share/cpe-agent/linux.json
	$(INSTALL) -D -m 0644 $(@D)/data-model/linux-098.json $(TARGET_DIR)/usr/share/cpe-agent/linux-098.json
	$(INSTALL) -D -m 0644 $(if $(CPE_AGENT_DEVICE),$(CPE_AGENT_DEVICE),$(@D)/cross/buildroot/package/cpe-agent/device.json) \
		$(TARGET_DIR)/usr/share/cpe-agent/device.json
	$(INSTALL) -D -m 0600 $(if $(CPE_AGENT_OWN_CONFIG),$(CPE_AGENT_OWN_CONFIG),$(@D)/cross/buildroot/package/cpe-agent/config.json) \
		$(TARGET_DIR)/etc/cpe-agent/config.json
endef
CPE_AGENT_POST_INSTALL_TARGET_HOOKS += CPE_AGENT_INSTALL_FILES

define CPE_AGENT_INSTALL_INIT_SYSV
	$(INSTALL) -D -m 0755 $(@D)/cross/buildroot/package/cpe-agent/S80cpe-agent \
		$(TARGET_DIR)/etc/init.d/S80cpe-agent
	$(INSTALL) -D -m 0755 $(@D)/cross/sysv/cpe-agent $(TARGET_DIR)/usr/libexec/cpe-agent/init
endef

define CPE_AGENT_INSTALL_INIT_SYSTEMD
	$(INSTALL) -D -m 0644 $(@D)/cross/systemd/cpe-agent.service \
		$(TARGET_DIR)/usr/lib/systemd/system/cpe-agent.service
	$(INSTALL) -D -m 0644 -t $(TARGET_DIR)/usr/lib/systemd/system \
		$(@D)/cross/systemd/cpe-agent-dhcp.path $(@D)/cross/systemd/cpe-agent-dhcp.service
	$(INSTALL) -D -m 0755 $(@D)/cross/dhcp/networkd $(TARGET_DIR)/usr/libexec/cpe-agent/networkd
endef

$(eval $(cargo-package))
