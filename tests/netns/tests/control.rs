//! The program's own commands on running daemons: effects, answers, exit codes.

#![allow(clippy::disallowed_methods)] // real daemons take real time

use std::time::Duration;

use lab::End;
use netns::{Kind, LineSpec, Pair, PairOptions, turn};
use serde_json::Value;

const SOON: Duration = Duration::from_secs(5);

fn two_lines(mode: &str) -> Pair {
    let line = || LineSpec::new(Kind::Router);
    Pair::start(PairOptions::new(mode, vec![line(), line()])).unwrap()
}

fn client(pair: &mut Pair, end: End, arguments: &[&str]) -> (Option<i32>, String) {
    let output = pair.daemon(end).client(arguments).unwrap();
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    text += &String::from_utf8_lossy(&output.stderr);
    (output.status.code(), text)
}

fn wait_state(pair: &mut Pair, line: usize, state: &str) {
    let what = format!("line{line} {state} at both ends");
    let waited =
        pair.wait(SOON, &what, |pair| {
            Ok(pair.path(End::A, line)?["state"] == state
                && pair.path(End::B, line)?["state"] == state)
        });
    waited.unwrap();
}

#[test]
fn orders_bind_both_ends_until_they_are_revoked() {
    if !lab::can_run("orders_bind_both_ends_until_they_are_revoked") {
        return;
    }
    let _turn = turn::take().unwrap();
    let mut pair = two_lines("failover");
    let meter = pair.meter().unwrap();
    for (order, state) in [
        ("down", "down"),
        ("up", "up"),
        ("drain", "drained"),
        ("up", "up"),
    ] {
        let (code, text) = client(&mut pair, End::B, &["path", order, "a", "line1"]);
        assert_eq!(code, Some(0), "{order}: {text}");
        wait_state(&mut pair, 1, state);
        let wanted = if state == "up" { 1 } else { 2 };
        let carrying = pair.wait(SOON, "the other line carries", |pair| {
            Ok(pair.path(End::A, wanted)?["active"] == true
                && pair.path(End::B, wanted)?["active"] == true)
        });
        carrying.unwrap();
    }
    // One path of the line, by its address.
    let (code, text) = client(
        &mut pair,
        End::A,
        &["path", "down", "b", "line2/10.2.2.2:1830"],
    );
    assert_eq!(code, Some(0), "{text}");
    wait_state(&mut pair, 2, "down");
    assert_eq!(meter.report().duplicated(), 0);
}

#[test]
fn exit_codes_tell_what_went_wrong() {
    if !lab::can_run("exit_codes_tell_what_went_wrong") {
        return;
    }
    let _turn = turn::take().unwrap();
    let mut pair = two_lines("balance");
    for (arguments, wanted) in [
        (&["status"][..], 0),
        (&["status", "b"], 0),
        (&["status", "nobody"], 1),
        (&["path", "down", "nobody", "line1"], 1),
        (&["path", "down", "b", "line9"], 1),
        (&["path", "down", "b", "line1/192.0.2.1:1830"], 1),
        (&["path", "sideways", "b", "line1"], 2),
        (&["path", "down", "b"], 2),
        (&["fdb"], 0),
    ] {
        let (code, text) = client(&mut pair, End::A, arguments);
        assert_eq!(code, Some(wanted), "{arguments:?}: {text}");
    }
    pair.daemon(End::B).kill().unwrap();
    let down = pair.wait(SOON, "b is down", |pair| {
        Ok(pair.peer(End::A)?["state"] == "down")
    });
    down.unwrap();
    assert_eq!(client(&mut pair, End::A, &["status", "b"]).0, Some(1));
    pair.daemon(End::A).kill().unwrap();
    assert_eq!(
        client(&mut pair, End::A, &["status"]).0,
        Some(1),
        "nobody answers"
    );
}

fn keys(value: &Value) -> Vec<&str> {
    value
        .as_object()
        .map(|object| object.keys().map(String::as_str).collect())
        .unwrap_or_default()
}

#[test]
fn status_json_has_the_promised_names() {
    if !lab::can_run("status_json_has_the_promised_names") {
        return;
    }
    let _turn = turn::take().unwrap();
    let mut pair = two_lines("aggregate");
    let (code, text) = client(&mut pair, End::A, &["status", "--json"]);
    assert_eq!(code, Some(0), "{text}");
    let status: Value = serde_json::from_str(&text).unwrap();
    let has = |value: &Value, wanted: &[&str]| {
        for key in wanted {
            assert!(keys(value).contains(key), "{key} is missing in {value:#}");
        }
    };
    has(&status, &["node", "peers", "ports", "forwarders", "drops"]);
    has(
        &status["node"],
        &["name", "public_key", "version", "uptime_s"],
    );
    let peer = &status["peers"][0];
    has(
        peer,
        &[
            "name",
            "public_key",
            "state",
            "mode",
            "effective_mode",
            "paths",
            "outages",
        ],
    );
    assert_eq!(
        (peer["mode"].as_str(), peer["state"].as_str()),
        (Some("aggregate"), Some("up"))
    );
    has(&peer["outages"], &["count", "longest_ms", "total_ms"]);
    let path = &peer["paths"][0];
    let names = "uplink local remote state role active peer_active rtt_ms jitter_ms loss \
                 capacity_bps mtu tx_bytes rx_bytes since reason excluded_reason";
    has(
        path,
        &names
            .split(' ')
            .filter(|name| !name.is_empty())
            .collect::<Vec<_>>(),
    );
    has(
        &status["ports"][0],
        &["name", "kind", "state", "role", "vlans"],
    );
}
