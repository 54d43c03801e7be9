//! All properties of an object with one call, as far as they are of a kind that somebody asks for.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::time::Duration;

use chrono::{DateTime, Utc};
use systemd::bus::{Bus, ContainerType, Message, MessageIter, ObjectPath};
use utf8_cstr::Utf8CStr;

use super::{NAME, NoAnswer, ServiceManager, string};
use crate::host::clock;

/// What an object is like. The interfaces of a unit have no two properties of one name that somebody asks for.
#[derive(Debug, Default)]
pub(super) struct Properties {
    pub(super) texts: BTreeMap<String, String>,
    numbers: BTreeMap<String, u64>,
    integers: BTreeMap<String, i32>,
    truths: BTreeMap<String, bool>,
    lists: BTreeMap<String, Vec<String>>,
    bytes: BTreeMap<String, Vec<u8>>,
}

impl Properties {
    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.texts.get(name).cloned()
    }

    /// A number; the largest that there is stands for none, and so does 0.
    pub(super) fn number(&self, name: &str) -> Option<u64> {
        self.numbers.get(name).copied().filter(|number| *number > 0 && *number < u64::MAX)
    }

    pub(super) fn integer(&self, name: &str) -> Option<i32> {
        self.integers.get(name).copied()
    }

    pub(super) fn truth(&self, name: &str) -> bool {
        self.truths.get(name).copied().unwrap_or_default()
    }

    pub(super) fn list(&self, name: &str) -> &[String] {
        self.lists.get(name).map(Vec::as_slice).unwrap_or_default()
    }

    pub(super) fn time(&self, name: &str) -> Option<DateTime<Utc>> {
        DateTime::from_timestamp_micros(i64::try_from(self.number(name)?).ok()?)
    }

    /// A time by the clock that does not jump.
    pub(super) fn monotonic(&self, name: &str) -> Option<DateTime<Utc>> {
        self.number(name).map(Duration::from_micros).and_then(clock::of_monotonic)
    }

    /// A limit: 0 is one, too.
    pub(super) fn limit(&self, name: &str) -> Option<Duration> {
        self.numbers.get(name).copied().filter(|micros| *micros < u64::MAX).map(Duration::from_micros)
    }

    /// Its current run, or the last one.
    pub(super) fn invocation(&self) -> Option<String> {
        hexadecimal(self.bytes.get("InvocationID")?)
    }

    /// When a timer elapses next, by the calendar or by the time since something else.
    pub(super) fn next(&self) -> Option<DateTime<Utc>> {
        [self.time("NextElapseUSecRealtime"), self.monotonic("NextElapseUSecMonotonic")].into_iter().flatten().min()
    }

    /// Takes one property, which stands next.
    fn take(&mut self, name: String, kind: &str, iter: &mut MessageIter<'_>) -> systemd::Result<()> {
        match kind {
            "s" => self.texts.extend(string(iter).map(|text| (name, text))),
            "t" => self.numbers.extend(iter.next::<u64>()?.map(|number| (name, number))),
            "i" => self.integers.extend(iter.next::<i32>()?.map(|number| (name, number))),
            "b" => self.truths.extend(iter.next::<bool>()?.map(|truth| (name, truth))),
            "as" => {
                iter.enter_container(ContainerType::Array, "s")?;
                self.lists.insert(name, std::iter::from_fn(|| string(iter)).collect());
                iter.exit_container()?;
            }
            "ay" => {
                iter.enter_container(ContainerType::Array, "y")?;
                self.bytes.insert(name, std::iter::from_fn(|| iter.next::<u8>().ok().flatten()).collect());
                iter.exit_container()?;
            }
            _ => pass_over(iter)?,
        }
        Ok(())
    }
}

/// The ID of a run; what has another length is none.
pub(super) fn hexadecimal(bytes: &[u8]) -> Option<String> {
    (bytes.len() == 16).then(|| bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Which properties: those of one interface, or all of the object.
pub(super) const ALL: &str = "";

impl ServiceManager {
    /// All properties of an interface, with one call; none when the object has none.
    pub(super) fn all(&mut self, path: &str, interface: &str) -> Option<Properties> {
        let (patience, path, interface) = (self.patience, path.to_owned(), interface.to_owned());
        self.ask(move |bus| get_all(bus, &path, &interface, patience))
    }
}

fn get_all(bus: &mut Bus, path: &str, interface: &str, patience: Duration) -> Result<Option<Properties>, NoAnswer> {
    let Some(mut reply) = asked(bus, path, "GetAll", &[interface], patience)? else { return Ok(None) };
    let mut properties = Properties::default();
    if let Ok(mut iter) = reply.iter() {
        // what was read until something cannot be is right
        let _ = read(&mut properties, &mut iter);
    }
    Ok(Some(properties))
}

/// One property, of this kind.
pub(super) fn get<T>(
    bus: &mut Bus,
    [path, interface, property]: &[String; 3],
    kind: &str,
    patience: Duration,
    read: impl FnOnce(&mut MessageIter<'_>) -> Option<T>,
) -> Result<Option<T>, NoAnswer> {
    let Some(mut reply) = asked(bus, path, "Get", &[interface, property], patience)? else { return Ok(None) };
    let Ok(mut iter) = reply.iter() else { return Ok(None) };
    let entered = iter.enter_container(ContainerType::Variant, kind).unwrap_or(false);
    Ok(if entered { read(&mut iter) } else { None })
}

/// The answer of `org.freedesktop.DBus.Properties`; none when the manager has nothing of this name: a unit that is gone, a
/// property that this systemd does not have.
fn asked(bus: &mut Bus, path: &str, method: &str, words: &[&str], patience: Duration) -> Result<Option<Message>, NoAnswer> {
    let made = (|| {
        let mut call = bus.new_method_call(NAME, path, "org.freedesktop.DBus.Properties", method).ok()?;
        for word in words {
            let word = CString::new(*word).ok()?;
            call.append(Utf8CStr::from_cstr(&word).ok()?).ok()?;
        }
        Some(call)
    })();
    let Some(mut call) = made else { return Ok(None) };
    match call.call(u64::try_from(patience.as_micros()).unwrap_or(u64::MAX)) {
        Ok(reply) => Ok(Some(reply)),
        Err(error) => {
            let name: &str = error.name().as_ref();
            if name.starts_with("org.freedesktop.DBus.Error.Unknown") { Ok(None) } else { Err(NoAnswer) }
        }
    }
}

fn read(properties: &mut Properties, iter: &mut MessageIter<'_>) -> systemd::Result<()> {
    iter.enter_container(ContainerType::Array, "{sv}")?;
    while iter.enter_container(ContainerType::DictEntry, "sv")? {
        let Some(name) = string(iter) else { break };
        let (_, kind) = iter.peek_type()?;
        let kind = kind.to_owned();
        iter.enter_container(ContainerType::Variant, kind.as_str())?;
        properties.take(name, &kind, iter)?;
        iter.exit_container()?;
        iter.exit_container()?;
    }
    Ok(())
}

/// Passes over the next value, whatever it holds.
fn pass_over(iter: &mut MessageIter<'_>) -> systemd::Result<()> {
    let (kind, contents) = iter.peek_type()?;
    let kind = kind.to_ne_bytes()[0];
    let container = match kind {
        b'a' => ContainerType::Array,
        b'v' => ContainerType::Variant,
        b'r' => ContainerType::Struct,
        b'e' => ContainerType::DictEntry,
        _ => return pass_over_basic(iter, kind),
    };
    let contents = contents.to_owned();
    iter.enter_container(container, contents.as_str())?;
    while !iter.at_end()? {
        pass_over(iter)?;
    }
    iter.exit_container()
}

fn pass_over_basic(iter: &mut MessageIter<'_>, kind: u8) -> systemd::Result<()> {
    match kind {
        b'y' => iter.next::<u8>().map(drop),
        b'b' => iter.next::<bool>().map(drop),
        b'n' => iter.next::<i16>().map(drop),
        b'q' => iter.next::<u16>().map(drop),
        b'i' => iter.next::<i32>().map(drop),
        b'u' => iter.next::<u32>().map(drop),
        b'x' => iter.next::<i64>().map(drop),
        b't' => iter.next::<u64>().map(drop),
        b'd' => iter.next::<f64>().map(drop),
        b's' => iter.next::<&Utf8CStr>().map(drop),
        b'o' => iter.next::<&ObjectPath>().map(drop),
        // no unit has such a property
        _ => Err(std::io::Error::other("an unknown type").into()),
    }
}
