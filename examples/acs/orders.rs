//! The command line of the ACS: the orders for the gateways, and the results that a gateway reports.

use crate::support::{
    Rpc, Session, add_object, delete_object, download, get_parameter_values, reboot, set_parameter_values, upload,
};

pub(crate) const USAGE: &str = "\
usage: cargo run --example acs -- [ADDR:PORT] [ORDER...]

  PATH, --get PATH       read a value, or everything below a path that ends in a dot; in each session
  --set PATH=VALUE       change a value
  --add PATH.            create an instance of a table
  --delete PATH.         delete an instance
  --download TYPE URL    let the gateway fetch and apply a file, such as \"1 Firmware Upgrade Image\"
  --upload TYPE URL      let the gateway send a file
  --reboot               restart the gateway

Without ADDR:PORT it is 127.0.0.1:8080. Each gateway gets the orders in this order and once, in its
first session; only the values are read again in each session. For example:

  cargo run --example acs -- 0.0.0.0:8080 --set Device.Time.NTPServer1=ntp.example.net Device.Time.
";

/// The command line, understood.
#[derive(Debug, Default)]
pub(crate) struct Orders {
    /// The address to listen at, if it is given.
    pub(crate) address: Option<String>,
    /// The RPCs for the first session of a gateway.
    pub(crate) first: Vec<Rpc>,
    /// The RPCs for each later session.
    pub(crate) again: Vec<Rpc>,
}

/// The RPC that neighbouring orders of the same kind share, as far as it is known.
#[derive(Debug, Default)]
struct Collected {
    paths: Vec<String>,
    values: Vec<(String, String)>,
}

impl Orders {
    /// Reads the arguments. The error is the mistake, in words.
    pub(crate) fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Orders, String> {
        let mut arguments = arguments.into_iter();
        let mut orders = Orders::default();
        let mut collected = Collected::default();
        let mut is_first = true;
        while let Some(argument) = arguments.next() {
            let mut next = |what: &str| arguments.next().ok_or_else(|| format!("{argument} needs {what}"));
            let rpc = match argument.as_str() {
                "--get" => {
                    orders.flush_values(&mut collected);
                    collected.paths.push(next("a path")?);
                    None
                }
                "--set" => {
                    orders.flush_paths(&mut collected);
                    let assignment = next("PATH=VALUE")?;
                    let (path, value) =
                        assignment.split_once('=').ok_or_else(|| format!("`{assignment}` is not PATH=VALUE"))?;
                    collected.values.push((path.to_owned(), value.to_owned()));
                    None
                }
                "--add" => Some(add_object(&table(next("a path")?)?, "")),
                "--delete" => Some(delete_object(&table(next("a path")?)?, "")),
                "--download" => Some(download(&next("a file type")?, &next("a URL")?)),
                "--upload" => Some(upload(&next("a file type")?, &next("a URL")?)),
                "--reboot" => Some(reboot("")),
                option if option.starts_with('-') => return Err(format!("there is no order {option}")),
                address if is_first && address.contains(':') => {
                    orders.address = Some(address.to_owned());
                    None
                }
                path => {
                    orders.flush_values(&mut collected);
                    collected.paths.push(path.to_owned());
                    None
                }
            };
            if let Some(rpc) = rpc {
                orders.flush(&mut collected);
                orders.first.push(rpc);
            }
            is_first = false;
        }
        orders.flush(&mut collected);
        Ok(orders)
    }

    fn flush(&mut self, collected: &mut Collected) {
        self.flush_paths(collected);
        self.flush_values(collected);
    }

    fn flush_paths(&mut self, collected: &mut Collected) {
        let paths: Vec<&str> = collected.paths.iter().map(String::as_str).collect();
        if !paths.is_empty() {
            self.first.push(get_parameter_values(&paths));
            self.again.push(get_parameter_values(&paths));
        }
        collected.paths.clear();
    }

    fn flush_values(&mut self, collected: &mut Collected) {
        // A value without a type: the gateway knows the type of its parameter.
        let values: Vec<(&str, &str, &str)> =
            collected.values.iter().map(|(path, value)| (path.as_str(), "", value.as_str())).collect();
        if !values.is_empty() {
            self.first.push(set_parameter_values(&values, ""));
        }
        collected.values.clear();
    }
}

/// Returns the path of an object, which ends in a dot.
fn table(path: String) -> Result<String, String> {
    if path.ends_with('.') { Ok(path) } else { Err(format!("`{path}` does not end in a dot")) }
}

/// Returns the result of each order of a session, one a line.
pub(crate) fn results(session: &Session) -> Vec<String> {
    let mut results = Vec::new();
    for pair in session.exchanges.windows(2) {
        let (order, Some(answer)) = (&pair[0].answer, &pair[1].message) else { continue };
        let argument = |name: &str| answer.argument(name).unwrap_or_default();
        let object = order.details.iter().find_map(|line| line.strip_prefix("ObjectName = ")).unwrap_or_default();
        let what = match order.what.as_str() {
            what @ ("GetParameterValues" | "SetParameterValues" | "AddObject" | "DeleteObject" | "Download"
            | "Upload" | "Reboot") => what,
            _ => continue,
        };
        let outcome = match (&answer.fault, what) {
            (Some(fault), _) => format!("refused, fault {} {}", fault.code, fault.text),
            (None, "GetParameterValues") => format!("{} values", answer.parameters.len()),
            (None, "AddObject") if object.ends_with("].") => {
                format!("created {object}, number {}", argument("InstanceNumber"))
            }
            (None, "AddObject") => format!("created {object}{}.", argument("InstanceNumber")),
            (None, "DeleteObject") => format!("deleted {object}"),
            (None, "Reboot") => "accepted; the gateway restarts after the session".to_owned(),
            (None, "Download" | "Upload") if argument("Status") == "1" => {
                "accepted; a later session has the result, TransferComplete".to_owned()
            }
            (None, _) if argument("Status") == "1" => "accepted; takes effect after a restart".to_owned(),
            (None, _) => "done".to_owned(),
        };
        results.push(format!("{what}: {outcome}"));
    }
    for message in session.messages().filter(|message| message.method == "TransferComplete") {
        results.push(match message.fault.as_ref().filter(|fault| fault.code != 0) {
            Some(fault) => format!("the transfer failed: fault {} {}", fault.code, fault.text),
            None => "the transfer succeeded".to_owned(),
        });
    }
    results
}
