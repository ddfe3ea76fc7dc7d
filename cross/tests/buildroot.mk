# The part of Buildroot's infrastructure that cross/buildroot uses, and a goal that installs the package's files.
INSTALL := install
qstrip = $(strip $(subst ",,$(1)))
define cargo-package
endef
include $(BR2_EXTERNAL_CPE_AGENT_PATH)/external.mk

.PHONY: install show
install: $(BUILD)/.stamp_target_installed
$(BUILD)/.stamp_target_installed:
	$(foreach hook,$(CPE_AGENT_POST_INSTALL_TARGET_HOOKS),$($(hook)))
	$(CPE_AGENT_INSTALL_INIT_SYSV)
	$(CPE_AGENT_INSTALL_INIT_SYSTEMD)
show:
	@echo "$(CPE_AGENT_SITE_METHOD) $(CPE_AGENT_SITE) $(CPE_AGENT_VERSION) $(CPE_AGENT_CARGO_BUILD_OPTS)"
