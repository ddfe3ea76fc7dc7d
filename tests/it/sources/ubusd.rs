//! A stand-in for ubusd, and for the programs behind it, that can be slow, wrong and away.

use std::collections::VecDeque;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use serde_json::Value as Json;
use tempfile::TempDir;

/// The conduct of the object `odd`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conduct {
    Answers,
    /// Never answers.
    Silent,
    /// Answers with this status.
    Status(u32),
    /// Closes the connection.
    Cut,
    /// Answers with bytes that are no message.
    Garbage,
    /// Answers with values whose lengths are wrong.
    Malformed,
    /// Answers with a text of nearly 1 MiB.
    Long,
    /// Announces a message of 2 MiB.
    TooLong,
    /// Answers with a table in place of the text.
    WrongType,
    /// Gets another id when it is called.
    Moves,
}

/// What all connections share.
struct World {
    conduct: Conduct,
    uptime: u32,
    /// The id of the first object; it is another one after each restart.
    base: u32,
    /// What the clients asked, in words.
    asked: Vec<String>,
    connections: Vec<UnixStream>,
    /// True if the objects of this program are there.
    has_programs: bool,
    /// The objects with answers from files.
    others: Vec<Other>,
    /// The clients that get events.
    listeners: Vec<Listener>,
    /// The id of the last of their objects.
    last_own: u32,
    /// Takes the packages of the events for procd.
    procd: Option<Sender<String>>,
}

/// A client with an object that gets events.
struct Listener {
    stream: UnixStream,
    /// The id of its object.
    own: u32,
    patterns: Vec<String>,
    /// The ids of the objects to whose notifications it subscribes.
    targets: Vec<u32>,
}

impl Listener {
    fn is_registered_for(&self, event: &str) -> bool {
        self.patterns.iter().any(|pattern| match pattern.strip_suffix('*') {
            Some(begin) => event.starts_with(begin),
            None => event == pattern,
        })
    }

    /// Sends a call of its object. Those of events name no peer.
    fn call(&mut self, name: &str, data: &[u8]) {
        let attributes = [attr(3, &self.own.to_be_bytes()), attr(4, format!("{name}\0").as_bytes()), attr(7, data)];
        // A client may be gone.
        let _ = self.stream.write_all(&message(5, 1, 0, &attributes.concat()));
    }
}

/// The answer of a method, for calls with this text among their arguments.
struct Other {
    object: String,
    method: String,
    argument: String,
    answer: Vec<u8>,
}

/// A bus in a directory that stands for `/var/run`.
pub struct Ubusd {
    place: TempDir,
    world: Arc<Mutex<World>>,
}

impl Ubusd {
    pub fn start() -> Ubusd {
        let place = tempfile::tempdir().expect("a directory");
        fs::create_dir(place.path().join("ubus")).expect("a directory");
        let world = World {
            conduct: Conduct::Answers,
            uptime: 77,
            base: 100,
            asked: Vec::new(),
            connections: Vec::new(),
            has_programs: true,
            others: Vec::new(),
            listeners: Vec::new(),
            last_own: 0x00A0_0000,
            procd: None,
        };
        let bus = Ubusd { place, world: Arc::new(Mutex::new(world)) };
        bus.listen("ubus/ubus.sock");
        bus
    }

    pub fn run_directory(&self) -> &Path {
        self.place.path()
    }

    /// Adds an answer by the name of its file: `OBJECT METHOD.json`, or `OBJECT METHOD ARGUMENT.json` for calls with this text
    /// as an argument.
    pub fn add(&self, file: &Path) {
        let name = file.file_stem().and_then(|name| name.to_str()).expect("a name");
        let words: Vec<&str> = name.split(' ').collect();
        let argument = words.get(2).copied().unwrap_or_default();
        self.answer(words[0], words[1], argument, &fs::read_to_string(file).expect("an answer"));
    }

    /// Gives a method another answer.
    pub fn replace(&self, object: &str, method: &str, answer: &str) {
        self.world().others.retain(|other| (other.object.as_str(), other.method.as_str()) != (object, method));
        self.answer(object, method, "", answer);
    }

    pub fn answer(&self, object: &str, method: &str, argument: &str, answer: &str) {
        let json: Json = serde_json::from_str(answer).expect("JSON");
        let members = json.as_object().expect("an object");
        self.world().others.push(Other {
            object: object.to_owned(),
            method: method.to_owned(),
            argument: argument.to_owned(),
            answer: members.iter().flat_map(|(name, value)| value_element(name, value)).collect(),
        });
    }

    /// Removes the objects that answer by program.
    pub fn clear(&self) {
        self.world().has_programs = false;
    }

    /// Removes an object with its methods.
    pub fn remove(&self, object: &str) {
        self.world().others.retain(|other| other.object != object);
    }

    /// Removes the answer of a method for calls with this text among their arguments.
    pub fn remove_answer(&self, object: &str, method: &str, argument: &str) {
        let is_same = |other: &Other| other.object == object && other.method == method && other.argument == argument;
        self.world().others.retain(|other| !is_same(other));
    }

    /// Sends an event to the clients that are registered for it. Returns their number.
    pub fn emit(&self, event: &str, data: &str) -> usize {
        let json: Json = serde_json::from_str(data).expect("JSON");
        let values = json.as_object().expect("an object").iter().flat_map(|(name, value)| value_element(name, value));
        let values: Vec<u8> = values.collect();
        let mut world = self.world();
        let registered = world.listeners.iter_mut().filter(|listener| listener.is_registered_for(event));
        registered.map(|listener| listener.call(event, &values)).count()
    }

    /// Sends a notification of an object to its subscribers. Returns their number.
    pub fn notify(&self, object: &str, name: &str) -> usize {
        let mut world = self.world();
        let Some(id) = id_of(&world, object) else { return 0 };
        let subscribers = world.listeners.iter_mut().filter(|listener| listener.targets.contains(&id));
        subscribers.map(|listener| listener.call(name, &[])).count()
    }

    /// Tells that an object has come.
    pub fn announce(&self, object: &str) -> usize {
        let id = id_of(&self.world(), object).expect("an object");
        self.emit("ubus.object.add", &format!(r#"{{"id":{id},"path":"{object}"}}"#))
    }

    /// Plays procd: runs the script of a package for each event, a moment after it, one after the other in the order of the events.
    /// One that waits runs once for all its events. The script of `cpe-agent-applied` is the command of the agent.
    pub fn play_procd(&self, control: &Path, script: impl Fn(&str) + Send + 'static) {
        let (sender, events) = channel();
        self.answer("service", "event", "", "{}");
        self.world().procd = Some(sender);
        let control = control.to_owned();
        // The thread ends with the stand-in.
        thread::spawn(move || {
            while let Ok(first) = events.recv() {
                let mut queue = VecDeque::from([first]);
                while !queue.is_empty() {
                    thread::sleep(Duration::from_millis(100));
                    for package in events.try_iter() {
                        if !queue.contains(&package) {
                            queue.push_back(package);
                        }
                    }
                    match queue.pop_front().as_deref() {
                        Some("cpe-agent-applied") => {
                            let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_cpe-agent"));
                            let ended = command.arg("applied").arg("--control").arg(&control).status();
                            assert!(ended.expect("the command starts").success());
                        }
                        Some(package) => script(package),
                        None => {}
                    }
                }
            }
        });
    }

    /// Ends, with all connections.
    pub fn stop(&self) {
        for socket in ["ubus/ubus.sock", "ubus.sock"] {
            let _ = fs::remove_file(self.socket(socket));
        }
        self.world().listeners.clear();
        self.world().connections.drain(..).for_each(|stream| {
            let _ = stream.shutdown(std::net::Shutdown::Both);
        });
    }

    /// Starts again at a socket, with other ids.
    pub fn listen(&self, socket: &str) {
        self.world().base += 1000;
        let listener = UnixListener::bind(self.socket(socket)).expect("a socket");
        let world = Arc::clone(&self.world);
        // The thread ends with the program of the tests.
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let world = Arc::clone(&world);
                locked(&world).connections.push(stream.try_clone().expect("a second handle"));
                thread::spawn(move || serve(stream, &world));
            }
        });
    }

    fn socket(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    pub fn conduct(&self, conduct: Conduct) {
        self.world().conduct = conduct;
    }

    pub fn set_uptime(&self, uptime: u32) {
        self.world().uptime = uptime;
    }

    /// Returns what was asked since the last call.
    pub fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.world().asked)
    }

    fn world(&self) -> std::sync::MutexGuard<'_, World> {
        locked(&self.world)
    }
}

fn locked(world: &Mutex<World>) -> std::sync::MutexGuard<'_, World> {
    world.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The objects, each with a method.
const OBJECTS: [(&str, &str); 6] = [
    ("system", "info"),
    ("network.interface", "dump"),
    ("network.interface.lan", "status"),
    ("network.interface.wan", "status"),
    ("echo", "get"),
    ("odd", "get"),
];

/// The number that is added to the id of an object with answers from files.
const OTHERS: u32 = 500;

/// The place of `echo` among the objects.
const ECHO: u32 = 4;

/// Serves a client until it goes.
fn serve(mut stream: UnixStream, world: &Mutex<World>) {
    // HELLO comes first, in two pieces.
    let hello = message(0, 0, 0xcec9_608a, &[]);
    let _ = stream.write_all(&hello[..5]).and_then(|()| stream.write_all(&hello[5..]));
    let (mut late, mut own) = (Vec::new(), None);
    loop {
        let mut head = [0; 12];
        if stream.read_exact(&mut head).is_err() {
            locked(world).listeners.retain(|listener| Some(listener.own) != own);
            return;
        }
        let length = u32::from_be_bytes(head[8..12].try_into().expect("4 bytes")) & 0xFF_FFFF;
        let mut body = vec![0; length as usize - 4];
        stream.read_exact(&mut body).expect("a whole message");
        let sequence = u16::from_be_bytes([head[2], head[3]]);
        let peer = u32::from_be_bytes(head[4..8].try_into().expect("4 bytes"));
        let answer = match head[1] {
            4 => look_up(&text_of(&attribute(&body, 2)), sequence, world),
            5 => {
                let (method, data) = (text_of(&attribute(&body, 4)), attribute(&body, 7));
                assert_eq!(attribute(&body, 3), peer.to_be_bytes(), "the object is the peer");
                if peer == BROADCASTS {
                    assert_eq!(method, "register");
                    let _ = stream.write_all(&register(&described(&data), sequence, world));
                    continue;
                }
                // Other calls may follow in the same round, when the answer would still be in time.
                if peer == locked(world).base + ECHO {
                    let _ = stream.write_all(&std::mem::take(&mut late));
                }
                match call(peer, &method, &data, sequence, world) {
                    Reply::Now(bytes) => bytes,
                    Reply::Late(bytes) => {
                        late = bytes;
                        continue;
                    }
                    Reply::Cut => return drop(stream.shutdown(std::net::Shutdown::Both)),
                }
            }
            // The answer to an event.
            1 => {
                let own = u32::from_be_bytes(attribute(&body, 3).try_into().expect("4 bytes"));
                assert!(locked(world).listeners.iter().any(|listener| listener.own == own), "its own object");
                continue;
            }
            6 => {
                let (id, answer) = add_listener(&stream, sequence, world);
                own = Some(id);
                answer
            }
            8 => subscribe(&attribute(&body, 3), &attribute(&body, 8), sequence, world),
            other => panic!("a message of kind {other}"),
        };
        // A client may be gone.
        let _ = stream.write_all(&answer);
    }
}

/// The object that broadcasts events.
const BROADCASTS: u32 = 1;

/// Returns the id of an object.
fn id_of(world: &World, name: &str) -> Option<u32> {
    if let Some(at) = world.others.iter().position(|other| other.object == name) {
        return Some(world.base + OTHERS + at as u32);
    }
    let at = OBJECTS.iter().position(|(object, _)| *object == name && world.has_programs)?;
    Some(world.base + at as u32)
}

/// Gives a client an object of its own.
fn add_listener(stream: &UnixStream, sequence: u16, world: &Mutex<World>) -> (u32, Vec<u8>) {
    let mut world = locked(world);
    world.last_own += 1;
    let own = world.last_own;
    let stream = stream.try_clone().expect("a second handle");
    world.listeners.push(Listener { stream, own, patterns: Vec::new(), targets: Vec::new() });
    let found = message(2, sequence, 0, &attr(3, &own.to_be_bytes()));
    (own, [found, message(1, sequence, 0, &attr(1, &[0; 4]))].concat())
}

/// Registers a client for a pattern of events, which its arguments name: `object:5=… pattern:3=…`.
fn register(arguments: &str, sequence: u16, world: &Mutex<World>) -> Vec<u8> {
    let (own, pattern) = arguments.split_once(" pattern:3=").expect("both arguments");
    let own = own.strip_prefix("object:5=").and_then(|own| u32::from_str_radix(own, 16).ok()).expect("an id");
    let mut world = locked(world);
    world.asked.push(format!("register {pattern}"));
    let listener = world.listeners.iter_mut().find(|listener| listener.own == own).expect("its object");
    listener.patterns.push(pattern.to_owned());
    message(1, sequence, BROADCASTS, &attr(1, &[0; 4]))
}

fn subscribe(own: &[u8], target: &[u8], sequence: u16, world: &Mutex<World>) -> Vec<u8> {
    let [own, target] = [own, target].map(|id| u32::from_be_bytes(id.try_into().expect("4 bytes")));
    let mut world = locked(world);
    world.asked.push("subscribe".to_owned());
    let listener = world.listeners.iter_mut().find(|listener| listener.own == own).expect("its object");
    listener.targets.push(target);
    message(1, sequence, 0, &attr(1, &[0; 4]))
}

fn look_up(name: &str, sequence: u16, world: &Mutex<World>) -> Vec<u8> {
    let mut world = locked(world);
    world.asked.push(format!("look up {name}"));
    if let Some(at) = world.others.iter().position(|other| other.object == name) {
        let methods = world.others.iter().filter(|other| other.object == name).map(|other| &other.method);
        let types = ["name", "device"].map(|name| element(5, name, &3_u32.to_be_bytes())).concat();
        let signature: Vec<u8> = methods.flat_map(|method| element(2, method, &types)).collect();
        return found(name, world.base + OTHERS + at as u32, &signature, sequence);
    }
    let Some(at) = OBJECTS.iter().position(|(object, _)| *object == name && world.has_programs) else {
        return message(1, sequence, 0, &attr(1, &4_u32.to_be_bytes()));
    };
    let id = world.base + at as u32;
    let types = [("of", 3_u32), ("long", 4), ("flag", 7)].map(|(name, kind)| element(5, name, &kind.to_be_bytes()));
    let signature = element(2, OBJECTS[at].1, &types.concat());
    found(name, id, &signature, sequence)
}

/// Returns the answer to a look-up.
fn found(name: &str, id: u32, signature: &[u8], sequence: u16) -> Vec<u8> {
    let found = [attr(2, format!("{name}\0").as_bytes()), attr(3, &id.to_be_bytes()), attr(6, signature)].concat();
    [message(2, sequence, 0, &found), message(1, sequence, 0, &attr(1, &[0; 4]))].concat()
}

enum Reply {
    Now(Vec<u8>),
    /// Before the answer to the next call of `echo` by this client.
    Late(Vec<u8>),
    Cut,
}

fn call(id: u32, method: &str, data: &[u8], sequence: u16, world: &Mutex<World>) -> Reply {
    let mut world = locked(world);
    let status = |code: u32| {
        let attributes = [attr(1, &code.to_be_bytes()), attr(3, &id.to_be_bytes())].concat();
        message(1, sequence, id, &attributes)
    };
    let with = |values: &[u8]| {
        let attributes = [attr(3, &id.to_be_bytes()), attr(7, values)].concat();
        [message(2, sequence, id, &attributes), status(0)].concat()
    };
    if let Some(at) = id.checked_sub(world.base + OTHERS) {
        let object = world.others.get(at as usize).map(|other| other.object.clone()).unwrap_or_default();
        let arguments = described(data);
        if let Some(procd) = world.procd.as_ref().filter(|_| object == "service" && method == "event") {
            assert_eq!(text_of(&member(data, "type")), "config.change");
            let _ = procd.send(text_of(&member(&member(data, "data"), "package")));
        }
        world.asked.push(format!("{object} {method} {arguments}").trim_end().to_owned());
        let fits = |other: &&Other| {
            let has = other.argument.is_empty() || arguments.contains(&format!("={}", other.argument));
            other.object == object && other.method == method && has
        };
        return Reply::Now(match world.others.iter().find(fits) {
            Some(other) => with(&other.answer),
            // An object that does not know the argument, such as the name of a radio.
            None => status(4),
        });
    }
    let Some((object, known)) = id.checked_sub(world.base).and_then(|at| OBJECTS.get(at as usize)) else {
        return Reply::Now(status(4));
    };
    world.asked.push(format!("{object} {method}"));
    if method != *known {
        return Reply::Now(status(3));
    }
    let values = match *object {
        "system" => {
            let memory = element(4, "free", &(5_u64 << 32).to_be_bytes());
            let values = [
                element(5, "uptime", &world.uptime.to_be_bytes()),
                element(2, "memory", &memory),
                element(3, "hostname", b"router\0"),
            ];
            values.concat()
        }
        "network.interface" => {
            let interface = |name: &str, up: u8, address: &str| {
                let address = element(2, "", &element(3, "address", format!("{address}\0").as_bytes()));
                let members = [
                    element(3, "interface", format!("{name}\0").as_bytes()),
                    element(7, "up", &[up]),
                    element(1, "ipv4-address", &address),
                ];
                element(2, "", &members.concat())
            };
            let list = [interface("lan", 1, "192.168.1.1"), interface("off", 0, ""), interface("wan", 1, "192.0.2.1")];
            element(1, "interface", &list.concat())
        }
        "echo" => element(3, "said", format!("{}\0", described(data)).as_bytes()),
        "odd" => return odd(&mut world, sequence, &with, &status),
        name => element(3, "device", format!("dev-{}\0", name.rsplit('.').next().unwrap_or_default()).as_bytes()),
    };
    Reply::Now(with(&values))
}

fn odd(world: &mut World, sequence: u16, with: &dyn Fn(&[u8]) -> Vec<u8>, status: &dyn Fn(u32) -> Vec<u8>) -> Reply {
    let fine = with(&element(3, "text", b"fine\0"));
    Reply::Now(match world.conduct {
        Conduct::Answers => fine,
        Conduct::Silent => return Reply::Late(with(&element(3, "text", b"too late\0"))),
        Conduct::Status(code) => status(code),
        Conduct::Cut => return Reply::Cut,
        Conduct::Garbage => b"GET / HTTP/1.1\r\nHost: here\r\n\r\n".to_vec(),
        Conduct::Malformed => with(&[0x83, 0, 0, 99, 0, 0, 0, 0]),
        Conduct::Long => with(&element(3, "text", &[vec![b'x'; (1 << 20) - 200], vec![0]].concat())),
        Conduct::TooLong => {
            let mut long = message(2, sequence, 0, &[]);
            long[8..12].copy_from_slice(&(2_u32 << 20).to_be_bytes());
            long
        }
        Conduct::WrongType => with(&element(2, "text", &element(5, "deep", &[0; 4]))),
        Conduct::Moves => {
            world.base += 1000;
            world.conduct = Conduct::Answers;
            status(4)
        }
    })
}

/// Returns the value of a member of a table.
fn member(mut data: &[u8], wanted: &str) -> Vec<u8> {
    loop {
        let length = (u32::from_be_bytes(data[..4].try_into().expect("4 bytes")) & 0xFF_FFFF) as usize;
        let name = usize::from(u16::from_be_bytes([data[4], data[5]]));
        if &data[6..6 + name] == wanted.as_bytes() {
            return data[4 + (2 + name + 1).next_multiple_of(4)..length].to_vec();
        }
        data = &data[length.next_multiple_of(4)..];
    }
}

/// Returns the arguments of a call with their types: `of:3=x long:4=00000000000000ff`.
fn described(mut data: &[u8]) -> String {
    let mut words = Vec::new();
    while !data.is_empty() {
        let head = u32::from_be_bytes(data[..4].try_into().expect("4 bytes"));
        let (kind, length) = (head >> 24 & 0x7F, (head & 0xFF_FFFF) as usize);
        let name = usize::from(u16::from_be_bytes([data[4], data[5]]));
        let value = &data[4 + (2 + name + 1).next_multiple_of(4)..length];
        let value = match kind {
            3 => text_of(value),
            _ => value.iter().map(|byte| format!("{byte:02x}")).collect(),
        };
        words.push(format!("{}:{kind}={value}", String::from_utf8_lossy(&data[6..6 + name])));
        data = &data[length.next_multiple_of(4)..];
    }
    words.join(" ")
}

fn message(kind: u8, sequence: u16, peer: u32, attributes: &[u8]) -> Vec<u8> {
    [&[0, kind], &sequence.to_be_bytes()[..], &peer.to_be_bytes(), &attr(0, attributes)].concat()
}

fn attr(id: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = (u32::from(id) << 24 | (content.len() as u32 + 4)).to_be_bytes().to_vec();
    bytes.extend(content);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

fn element(kind: u8, name: &str, value: &[u8]) -> Vec<u8> {
    let mut content = [&(name.len() as u16).to_be_bytes(), name.as_bytes(), &[0]].concat();
    content.resize(content.len().next_multiple_of(4), 0);
    attr(0x80 | kind, &[content, value.to_vec()].concat())
}

/// Returns a value of JSON as libubus sends it.
fn value_element(name: &str, value: &Json) -> Vec<u8> {
    match value {
        Json::Null => Vec::new(),
        Json::Bool(flag) => element(7, name, &[u8::from(*flag)]),
        Json::Number(number) => match number.as_i64().map(|number| (number, i32::try_from(number))) {
            Some((_, Ok(number))) => element(5, name, &number.to_be_bytes()),
            Some((number, Err(_))) => element(4, name, &number.to_be_bytes()),
            None => element(8, name, &number.as_f64().unwrap_or_default().to_be_bytes()),
        },
        Json::String(text) => element(3, name, format!("{text}\0").as_bytes()),
        Json::Array(items) => {
            element(1, name, &items.iter().flat_map(|item| value_element("", item)).collect::<Vec<_>>())
        }
        Json::Object(members) => {
            element(2, name, &members.iter().flat_map(|(name, member)| value_element(name, member)).collect::<Vec<_>>())
        }
    }
}

/// Returns the content of an attribute.
fn attribute(mut bytes: &[u8], wanted: u8) -> Vec<u8> {
    while bytes[0] != wanted {
        let length = u32::from_be_bytes(bytes[..4].try_into().expect("4 bytes")) & 0xFF_FFFF;
        bytes = &bytes[(length as usize).next_multiple_of(4)..];
    }
    let length = u32::from_be_bytes(bytes[..4].try_into().expect("4 bytes")) & 0xFF_FFFF;
    bytes[4..length as usize].to_vec()
}

fn text_of(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes.strip_suffix(&[0]).expect("a NUL at the end")).into_owned()
}
