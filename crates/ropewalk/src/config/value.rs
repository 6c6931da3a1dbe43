//! Parsers of single values: each gives the value, or says what is wrong and what to write.

use std::net::IpAddr;
use std::ops::RangeInclusive;

use ipnet::IpNet;
use toml::de::DeValue;

use super::section::Complaint;

/// The longest name of a network interface (IFNAMSIZ is 16 with the closing NUL).
const INTERFACE_NAME_MAX: usize = 15;

/// The longest name of a node, peer or uplink, in bytes.
const NAME_MAX: usize = 63;

/// What a TOML value is, in a sentence.
fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a float",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// The complaint about a value of the wrong type.
pub(super) fn wrong_type(value: &DeValue<'_>, remedy: &str) -> Complaint {
    format!("is {}; {remedy}", kind(value))
}

/// A string.
pub(super) fn text<'v>(value: &'v DeValue<'_>) -> Result<&'v str, Complaint> {
    match value {
        DeValue::String(text) => Ok(text.as_ref()),
        other => Err(wrong_type(other, "write a string in double quotes")),
    }
}

/// `true` or `false`.
pub(super) fn boolean(value: &DeValue<'_>) -> Result<bool, Complaint> {
    match value {
        DeValue::Boolean(flag) => Ok(*flag),
        other => Err(wrong_type(other, "write true or false, without quotes")),
    }
}

/// An integer within a range; `why` tells what the range follows from, or is empty.
pub(super) fn integer(
    value: &DeValue<'_>,
    range: RangeInclusive<i64>,
    why: &str,
) -> Result<i64, Complaint> {
    let (low, high) = (range.start(), range.end());
    let DeValue::Integer(number) = value else {
        let remedy = format!("write a whole number from {low} to {high}, without quotes");
        return Err(wrong_type(value, &remedy));
    };
    let parsed = i64::from_str_radix(number.as_str(), number.radix());
    match parsed.ok().filter(|parsed| range.contains(parsed)) {
        Some(parsed) => Ok(parsed),
        None => {
            let why = if why.is_empty() {
                String::new()
            } else {
                format!(" ({why})")
            };
            Err(format!("is {number}; choose from {low} to {high}{why}"))
        }
    }
}

/// An integer that fits 16 bits, within a range.
pub(super) fn integer_u16(
    value: &DeValue<'_>,
    range: RangeInclusive<u16>,
    why: &str,
) -> Result<u16, Complaint> {
    let wide = i64::from(*range.start())..=i64::from(*range.end());
    let number = integer(value, wide, why)?;
    u16::try_from(number).map_err(|_| format!("is {number}; choose a smaller number"))
}

/// The name of a node, peer, uplink or site: it stands in paths and on command lines.
pub(super) fn name(value: &DeValue<'_>) -> Result<String, Complaint> {
    let name = text(value)?;
    if name.is_empty() {
        return Err("is empty; choose a name".to_owned());
    }
    if name.len() > NAME_MAX {
        return Err(format!(
            "is longer than {NAME_MAX} characters; choose a shorter name"
        ));
    }
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    match name.chars().find(|c| !legal(*c)) {
        Some(c) => Err(format!(
            "contains {c:?}; use letters, digits, '-', '_' and '.' only"
        )),
        None => Ok(name.to_owned()),
    }
}

/// The name of a network interface as Linux allows it.
pub(super) fn interface(value: &DeValue<'_>) -> Result<String, Complaint> {
    let name = text(value)?;
    if name.is_empty() {
        return Err("is empty; write the name of a network interface".to_owned());
    }
    if name.len() > INTERFACE_NAME_MAX {
        return Err(format!(
            "is {} characters long; Linux allows {INTERFACE_NAME_MAX}",
            name.chars().count()
        ));
    }
    if name == "." || name == ".." {
        return Err(format!(
            "is {name:?}, which Linux refuses; choose another name"
        ));
    }
    // '%' would make the kernel number the device itself, so its name would not be the one here.
    let legal = |c: char| c.is_ascii_graphic() && !matches!(c, '/' | ':' | '%');
    match name.chars().find(|c| !legal(*c)) {
        Some(c) => Err(format!(
            "contains {c:?}; an interface name has no blanks, '/', ':' or '%'"
        )),
        None => Ok(name.to_owned()),
    }
}

/// One of a few words.
pub(super) fn one_of<T: Copy>(
    value: &DeValue<'_>,
    choices: &[(&'static str, T)],
) -> Result<T, Complaint> {
    let words = || {
        choices
            .iter()
            .map(|(word, _)| *word)
            .collect::<Vec<_>>()
            .join(", ")
    };
    let word = match value {
        DeValue::String(word) => word.as_ref(),
        other => return Err(wrong_type(other, &format!("write one of: {}", words()))),
    };
    choices
        .iter()
        .find(|(choice, _)| *choice == word)
        .map(|(_, chosen)| *chosen)
        .ok_or_else(|| format!("is {word:?}; write one of: {}", words()))
}

/// A unicast address of a host, without a prefix length.
pub(super) fn host_address(value: &DeValue<'_>) -> Result<IpAddr, Complaint> {
    let text = text(value)?;
    if text.contains('/') {
        return Err(format!(
            "{text:?} has a prefix length; write the address alone"
        ));
    }
    let address: IpAddr = text
        .parse()
        .map_err(|_| format!("{text:?} is not an IP address; write one such as 192.0.2.1"))?;
    refuse_special(address)?;
    Ok(address)
}

/// An address with its prefix length, such as `10.0.0.1/24`; the host bits stay.
pub(super) fn interface_address(value: &DeValue<'_>) -> Result<IpNet, Complaint> {
    let text = text(value)?;
    if let Ok(address) = text.parse::<IpAddr>() {
        let usual = if address.is_ipv4() { 24 } else { 64 };
        return Err(format!(
            "has no prefix length; write {address}/{usual}, say"
        ));
    }
    let net: IpNet = text
        .parse()
        .map_err(|_| format!("{text:?} is no address with prefix; write one like 10.0.0.1/24"))?;
    refuse_special(net.addr())?;
    let is_point_to_point = net.prefix_len() + 1 >= net.max_prefix_len();
    if !is_point_to_point && net.addr() == net.network() {
        return Err(format!(
            "{net} is the address of the network; choose a host within it"
        ));
    }
    if !is_point_to_point && net.addr().is_ipv4() && net.addr() == net.broadcast() {
        return Err(format!(
            "{net} is the broadcast address; choose a host within the network"
        ));
    }
    Ok(net)
}

fn refuse_special(address: IpAddr) -> Result<(), Complaint> {
    let is_broadcast = matches!(address, IpAddr::V4(v4) if v4.is_broadcast());
    if address.is_unspecified() || address.is_multicast() || is_broadcast {
        return Err(format!(
            "{address} is no address of a single host; choose a unicast one"
        ));
    }
    Ok(())
}

/// An Ethernet address that a station may have (IEEE 802-2014, 8.2).
pub(super) fn mac(value: &DeValue<'_>) -> Result<[u8; 6], Complaint> {
    let text = text(value)?;
    let octets: Vec<u8> = text
        .split([':', '-'])
        .filter_map(|octet| match octet.len() {
            1..=2 => u8::from_str_radix(octet, 16).ok(),
            _ => None,
        })
        .collect();
    let well_formed = text.split([':', '-']).count() == 6 && !text.contains('+');
    let mac: [u8; 6] = <[u8; 6]>::try_from(octets.as_slice())
        .ok()
        .filter(|_| well_formed)
        .ok_or_else(|| format!("{text:?} is no MAC address; write one like 16:b9:3f:58:cb:4c"))?;
    if mac == [0; 6] {
        return Err("is all zero; leave it out for a derived one, or choose another".to_owned());
    }
    if mac[0] & 1 == 1 {
        let first = mac[0] & 0xfe;
        return Err(format!(
            "is a group address (the lowest bit of {:02x} is set); begin with {first:02x}, say",
            mac[0]
        ));
    }
    Ok(mac)
}

/// Splits `50 Mbit/s` into its number and its unit.
fn quantity(text: &str) -> Option<(f64, &str)> {
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, unit) = text.split_at(split);
    let number: f64 = number.parse().ok()?;
    Some((number, unit.trim()))
}

/// `count` units as an integer, when that is at least one and stays exact.
fn whole(number: f64, unit: f64) -> Option<u64> {
    let product = (number * unit).round();
    // 2^53: from here on a float no longer holds every integer.
    (1.0..9.0e15).contains(&product).then_some(product as u64)
}

/// A rate such as `50 Mbit/s`, in bits per second.
pub(super) fn rate(value: &DeValue<'_>) -> Result<u64, Complaint> {
    const REMEDY: &str = "write a number and bit/s, kbit/s, Mbit/s or Gbit/s: \"50 Mbit/s\"";
    let DeValue::String(text) = value else {
        return Err(wrong_type(value, REMEDY));
    };
    let refused = || format!("{text:?} is no rate; {REMEDY}");
    let (number, unit) = quantity(text.trim()).ok_or_else(refused)?;
    let factor = match unit {
        "bit/s" => 1.0,
        "kbit/s" => 1e3,
        "Mbit/s" => 1e6,
        "Gbit/s" => 1e9,
        _ => return Err(refused()),
    };
    whole(number, factor).ok_or_else(refused)
}

/// How much a metered line may carry in a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Bytes with all headers.
    pub bytes: u64,
    /// The time after which it begins again.
    pub period: BudgetPeriod,
}

/// The time a [`Budget`] covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BudgetPeriod {
    /// 60 minutes.
    Hour,
    /// A calendar day.
    Day,
    /// A calendar month.
    Month,
}

/// A budget such as `500 MB/day`.
pub(super) fn budget(value: &DeValue<'_>) -> Result<Budget, Complaint> {
    const REMEDY: &str =
        "write a number, kB, MB, GB or TB, and /hour, /day or /month: \"500 MB/day\"";
    let DeValue::String(text) = value else {
        return Err(wrong_type(value, REMEDY));
    };
    let refused = || format!("{text:?} is no budget; {REMEDY}");
    let (number, unit) = quantity(text.trim()).ok_or_else(refused)?;
    let (unit, period) = unit.split_once('/').ok_or_else(refused)?;
    let factor = match unit.trim() {
        "kB" => 1e3,
        "MB" => 1e6,
        "GB" => 1e9,
        "TB" => 1e12,
        _ => return Err(refused()),
    };
    let period = match period.trim() {
        "hour" => BudgetPeriod::Hour,
        "day" => BudgetPeriod::Day,
        "month" => BudgetPeriod::Month,
        _ => return Err(refused()),
    };
    let bytes = whole(number, factor).ok_or_else(refused)?;
    Ok(Budget { bytes, period })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn string(text: &str) -> DeValue<'_> {
        DeValue::String(text.into())
    }

    #[test]
    fn rates_and_budgets_scale() {
        assert_eq!(rate(&string("50 Mbit/s")), Ok(50_000_000));
        assert_eq!(rate(&string("1.5Gbit/s")), Ok(1_500_000_000));
        for bad in [
            "50",
            "Mbit/s",
            "0 bit/s",
            "50 MB/s",
            "-1 bit/s",
            "1.2.3 bit/s",
            "",
        ] {
            assert!(rate(&string(bad)).is_err(), "{bad}");
        }
        let day = Budget {
            bytes: 500_000_000,
            period: BudgetPeriod::Day,
        };
        assert_eq!(budget(&string("500 MB/day")), Ok(day));
        for bad in ["500 MB", "500 Mb/day", "1e30 TB/day", "500 MB/year"] {
            assert!(budget(&string(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn macs() {
        assert_eq!(
            mac(&string("02:0:5e:10:00:FF")),
            Ok([2, 0, 0x5e, 0x10, 0, 255])
        );
        for bad in [
            "02:00",
            "02:00:00:00:00:00:01",
            "0g:00:00:00:00:01",
            "+2:00:00:00:00:01",
        ] {
            assert!(mac(&string(bad)).is_err(), "{bad}");
        }
        assert!(
            mac(&string("01:00:5e:00:00:01"))
                .unwrap_err()
                .contains("begin with 00")
        );
    }

    #[test]
    fn addresses_keep_their_host_bits() {
        let net = interface_address(&string("10.0.0.1/24")).unwrap();
        assert_eq!(net.to_string(), "10.0.0.1/24");
        assert!(interface_address(&string("10.0.0.0/31")).is_ok());
        assert!(interface_address(&string("2001:db8::1/64")).is_ok());
        for bad in [
            "10.0.0.0/24",
            "10.0.0.255/24",
            "10.0.0.1",
            "224.0.0.1/8",
            "10.0.0.1/33",
        ] {
            assert!(interface_address(&string(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn interface_names() {
        assert_eq!(interface(&string("enp0s31f6")), Ok("enp0s31f6".to_owned()));
        for bad in ["", "0123456789abcdef", "a b", "tap%d", "..", "a/b", "ö"] {
            assert!(interface(&string(bad)).is_err(), "{bad}");
        }
    }
}
