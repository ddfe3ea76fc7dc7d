//! The data model: knows neither XML nor CWMP.

pub mod date_time;
