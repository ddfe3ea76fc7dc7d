RUST_ARCH_DEPENDS:=@(aarch64||arm||mips)
define Build/Compile/Cargo
cargo install --path "$(PKG_BUILD_DIR)/$(1)" $(2)
endef
RustBinPackage=
