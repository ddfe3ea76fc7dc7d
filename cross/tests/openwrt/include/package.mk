define BuildPackage
.PHONY: prepare install
prepare:
	$$(call Build/Prepare)
install: prepare
	$$(call Package/$(1)/install,$$(DESTDIR))
show:
	@echo "$$(PKG_NAME) $$(PKG_VERSION)"
	@echo "$$(call Build/Compile)"
endef
