//! Software modules: ChangeDUState with its reports, and RequestedState, against the real agent.

mod gateway;
mod hostile;
mod interrupted;
mod openwrt;
mod requests;
