//! What the manager calls a unit on the bus.

use super::NAME;

/// What is special about this type of unit: "a.mount" has the properties of "org.freedesktop.systemd1.Mount".
pub(super) fn interface_of(unit: &str) -> String {
    let kind = unit.rsplit_once('.').map_or("service", |(_, kind)| kind);
    let (first, rest) = kind.split_at(kind.chars().next().map_or(0, char::len_utf8));
    format!("{NAME}.{}{rest}", first.to_uppercase())
}

/// The object of a unit: as systemd escapes names (`sd_bus_path_encode(3)`).
pub(super) fn path_of(unit: &str) -> String {
    let mut path = String::from("/org/freedesktop/systemd1/unit/");
    for (place, byte) in unit.bytes().enumerate() {
        if byte.is_ascii_alphabetic() || (place > 0 && byte.is_ascii_digit()) {
            path.push(char::from(byte));
        } else {
            path.push_str(&format!("_{byte:02x}"));
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_type_of_unit_has_its_own_result() {
        for (unit, interface) in [("a.b.service", "Service"), ("mnt-x.mount", "Mount"), ("a.socket", "Socket")] {
            assert_eq!(interface_of(unit), format!("org.freedesktop.systemd1.{interface}"));
        }
    }

    #[test]
    fn paths_are_escaped_as_systemd_does() {
        for (unit, path) in [
            ("backup.service", "backup_2eservice"),
            ("7a@x-y.service", "_37a_40x_2dy_2eservice"),
            ("foo\\x2dbar.mount", "foo_5cx2dbar_2emount"),
        ] {
            assert_eq!(path_of(unit), format!("/org/freedesktop/systemd1/unit/{path}"));
        }
    }
}
