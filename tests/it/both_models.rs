//! Runs a scenario with both shipped data models.

/// Makes two tests of a function that takes a [`Model`](crate::gateway::Model): `name::tr_181` and `name::tr_098`. The
/// call stands below the function.
macro_rules! both_models {
    ($scenario:ident) => {
        mod $scenario {
            #[test]
            fn tr_181() {
                super::$scenario(&$crate::gateway::TR_181);
            }

            #[test]
            fn tr_098() {
                super::$scenario(&$crate::gateway::TR_098);
            }
        }
    };
}
