//! Random bits for jitter and nonces.

use rand::RngCore;
use rand::rngs::OsRng;

/// Returns random bits from the kernel, for jitter.
pub(super) fn random() -> u64 {
    let mut bytes = [0; 8];
    match OsRng.try_fill_bytes(&mut bytes) {
        Ok(()) => u64::from_ne_bytes(bytes),
        // Jitter spreads load and protects no secret: another number per device is enough.
        Err(_) => std::process::id().into(),
    }
}
