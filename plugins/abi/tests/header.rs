//! The C header and [`PluginV1`] are one thing: compilers for C and C++ are asked for every offset.

use std::mem::{align_of, offset_of, size_of};
use std::path::{Path, PathBuf};
use std::process::Command;

use sysalert_abi::{ABI, MINIMUM_SIZE, PluginV1};

/// Uses everything that the header declares, as a plugin and a host would, and prints the layout.
const PROGRAM: &str = r#"
#include "sysalert_plugin.h"
#include <stdio.h>
static int32_t call(const uint8_t *request, size_t length, uint8_t **reply, size_t *reply_length) {
    (void)request; (void)length; (void)reply; (void)reply_length; return 1;
}
static void release(uint8_t *buffer, size_t length) { (void)buffer; (void)length; }
static const sysalert_plugin_v1_t plugin = {
    SYSALERT_PLUGIN_ABI, sizeof(struct sysalert_plugin_v1), "name", "version", call, call, release, NULL, call, call
};
const struct sysalert_plugin_v1 *sysalert_plugin_v1(void) { return &plugin; }
#define AT(field) (unsigned)offsetof(struct sysalert_plugin_v1, field)
int main(void) {
    const struct sysalert_plugin_v1 *p = sysalert_plugin_v1();
    printf("%u %u %u | %u %u %u %u %u %u %u %u %u %u\n", (unsigned)p->abi, (unsigned)p->size,
           (unsigned)SYSALERT_PLUGIN_MINIMUM_SIZE, AT(abi), AT(size), AT(name), AT(version), AT(failure), AT(success),
           AT(free), AT(settings), AT(check), AT(reach));
    return 0;
}
"#;

fn layout(compiler: &str, standard: &str, extension: &str) -> String {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let source = folder.join(format!("layout.{extension}"));
    let program = folder.join(format!("layout-{extension}"));
    std::fs::write(&source, PROGRAM).expect("the source can be written");
    let built = Command::new(compiler)
        .args([standard, "-Wall", "-Wextra", "-pedantic", "-Werror", "-I"])
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")))
        .arg("-o")
        .args([&program, &source])
        .output()
        .expect(compiler);
    assert!(built.status.success(), "{compiler} {standard}: {}", String::from_utf8_lossy(&built.stderr));
    let run = Command::new(&program).output().expect("the program runs");
    String::from_utf8(run.stdout).expect("UTF-8").trim().to_string()
}

fn expected() -> String {
    assert_eq!(align_of::<PluginV1>(), align_of::<usize>());
    let offsets = [
        offset_of!(PluginV1, abi),
        offset_of!(PluginV1, size),
        offset_of!(PluginV1, name),
        offset_of!(PluginV1, version),
        offset_of!(PluginV1, failure),
        offset_of!(PluginV1, success),
        offset_of!(PluginV1, free),
        offset_of!(PluginV1, settings),
        offset_of!(PluginV1, check),
        offset_of!(PluginV1, reach),
    ];
    let offsets: Vec<_> = offsets.iter().map(ToString::to_string).collect();
    format!("{ABI} {} {MINIMUM_SIZE} | {}", size_of::<PluginV1>(), offsets.join(" "))
}

#[test]
fn c99_sees_the_same_struct() {
    assert_eq!(layout("cc", "-std=c99", "c"), expected());
}

#[test]
fn cplusplus_sees_the_same_struct() {
    assert_eq!(layout("c++", "-std=c++11", "cpp"), expected());
}

/// Without its comments, which are for who reads it, and blank lines.
#[test]
fn a_whole_plugin_takes_forty_lines_of_c() {
    let example = include_str!("../examples/bell.c");
    let rest = example.split("/*").map(|part| part.split_once("*/").map_or(part, |(_, code)| code));
    let code = rest.collect::<String>();
    let lines: Vec<&str> = code.lines().filter(|line| !line.trim().is_empty()).collect();
    assert!((20..=40).contains(&lines.len()), "{} lines\n{}", lines.len(), lines.join("\n"));
    assert!(example.lines().all(|line| line.len() <= 128), "and none so long that it is two");
}
