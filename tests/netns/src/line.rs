//! One line between A and B, of whatever kind, with what can happen to it.

use std::net::IpAddr;

use anyhow::{Result, bail};
use lab::{Cable, CableOptions, End, Namespace, Plug, Profile, Router, Veth, Way};

/// What a line is made of.
#[derive(Debug, Clone)]
pub enum Kind {
    /// An emulated cable: rate, delay, loss.
    Cable(Profile),
    /// A veth pair: immediate. It cannot fall silent.
    Veth,
    /// Two veth pairs and a router between them: immediate, and can fall silent.
    Router,
}

/// How to make a line.
#[derive(Debug, Clone)]
pub struct LineSpec {
    /// What it is made of.
    pub kind: Kind,
    /// The MTU of its interfaces, bytes of IP.
    pub mtu: u32,
    /// Further keys of the uplinks at A and B: `role = "backup"`.
    pub uplink: [String; 2],
    /// The daemons know each other by IPv6 addresses on it.
    pub v6: bool,
    /// A cable does not end at the hosts, but at a switch beside each: as with a modem, what is
    /// on its way outlives the carrier at the host. And the kernel reports the carrier of a veth
    /// at once, that of a TAP device only once a second.
    pub switched: bool,
    /// Seeds what a cable does by chance; every line of a pair draws its own from it.
    pub seed: u64,
}

impl LineSpec {
    /// A line of this kind.
    pub fn new(kind: Kind) -> Self {
        Self {
            kind,
            mtu: 1500,
            uplink: [String::new(), String::new()],
            v6: false,
            switched: false,
            seed: 0,
        }
    }

    /// A cable of `megabits` per second and `rtt_ms` milliseconds for both ways together.
    pub fn cable(megabits: f64, rtt_ms: u64) -> Self {
        Self::new(Kind::Cable(Profile::line(megabits, rtt_ms / 2)))
    }

    /// With further keys of the uplinks at both ends.
    pub fn uplink(self, keys: &str) -> Self {
        let uplink = [keys.to_owned(), keys.to_owned()];
        Self { uplink, ..self }
    }

    /// With another MTU.
    pub fn mtu(self, mtu: u32) -> Self {
        Self { mtu, ..self }
    }

    /// With a switch at each end.
    pub fn switched(self) -> Self {
        Self {
            switched: true,
            ..self
        }
    }

    /// Over IPv6.
    pub fn v6(self) -> Self {
        Self { v6: true, ..self }
    }
}

/// A made line.
#[derive(Debug)]
pub struct Line {
    /// The name of the interface at both ends, and of the uplink: "line1".
    pub name: String,
    /// How it was made.
    pub spec: LineSpec,
    number: u8,
    hosts: [Namespace; 2],
    joint: Joint,
}

#[derive(Debug)]
enum Joint {
    Cable(Cable),
    Switched(Cable, [Access; 2]),
    Veth(Veth),
    Router(Router),
}

/// A host's way to its end of a cable.
#[derive(Debug)]
struct Access {
    veth: Veth,
    switch: Namespace,
}

impl Access {
    fn new(host: &Plug, mtu: u32) -> Result<Self> {
        let switch = Namespace::new("switch")?;
        switch.netlink(async |netlink| netlink.create_bridge("br0").await)?;
        switch.set_up("br0", true)?;
        let veth = Veth::join(host.clone(), Plug::new(&switch, "host"))?;
        for plug in [&veth.a, &veth.b] {
            plug.host.set_mtu(&plug.device, mtu)?;
        }
        Ok(Self { veth, switch })
    }

    fn bridge(&self, device: &str) -> Result<()> {
        Ok(self
            .switch
            .netlink(async |netlink| netlink.set_master(device, Some("br0")).await)?)
    }
}

impl Line {
    /// Makes line `number` (from 1) between two hosts, with addresses.
    pub fn join(number: u8, hosts: &[Namespace; 2], spec: LineSpec) -> Result<Self> {
        let name = format!("line{number}");
        let plug = |end: End| Plug::new(&hosts[end as usize], &name);
        let (a, b) = (plug(End::A), plug(End::B));
        let joint = match &spec.kind {
            Kind::Cable(profile) => {
                let options = cable_options(number, &spec, profile);
                join_cable(a, b, options, spec.switched)?
            }
            Kind::Veth => Joint::Veth(Veth::join(a, b)?),
            Kind::Router => Joint::Router(Router::join(number, a, b)?),
        };
        let line = Self {
            name,
            spec,
            number,
            hosts: hosts.clone(),
            joint,
        };
        line.prepare()?;
        Ok(line)
    }

    fn has_one_network(&self) -> bool {
        !matches!(self.joint, Joint::Router(_))
    }

    fn prepare(&self) -> Result<()> {
        for end in [End::A, End::B] {
            let host = self.host(end);
            if self.spec.mtu != 1500 {
                host.set_mtu(&self.name, self.spec.mtu)?;
            }
            if self.has_one_network() {
                host.add_address(&self.name, &self.cidr(end, end as u8 + 1))?;
                host.add_address(
                    &self.name,
                    &format!("fd80:{}::{}/64", self.number, end as u8 + 1),
                )?;
            }
        }
        Ok(())
    }

    /// An IPv4 address on it, with host part `host`.
    fn cidr(&self, end: End, host: u8) -> String {
        match self.has_one_network() {
            true => format!("10.80.{}.{host}/24", self.number),
            false => format!("10.{}.{}.{host}/24", self.number, end as u8 + 1),
        }
    }

    /// The host at one end.
    pub fn host(&self, end: End) -> &Namespace {
        &self.hosts[end as usize]
    }

    /// The address that the other daemon dials at this end.
    pub fn address(&self, end: End) -> IpAddr {
        let host = end as u8 + 1;
        match &self.joint {
            Joint::Router(router) => router.address(end, self.spec.v6),
            _ if self.spec.v6 => {
                IpAddr::from([0xfd80, self.number.into(), 0, 0, 0, 0, 0, host.into()])
            }
            _ => IpAddr::from([10, 80, self.number, host]),
        }
    }

    /// Takes the IPv4 address of one end away and gives it another one of the same network.
    pub fn readdress(&self, end: End) -> Result<()> {
        let before = match (&self.joint, end) {
            (Joint::Router(_), _) => 2,
            (_, End::A) => 1,
            (_, End::B) => 2,
        };
        let host = self.host(end);
        host.delete_address(&self.name, &self.cidr(end, before))?;
        host.add_address(&self.name, &self.cidr(end, before + 50))?;
        if let Joint::Router(router) = &self.joint {
            // Routes through a gateway go with the last address of its network.
            let other = match end {
                End::A => End::B,
                End::B => End::A,
            };
            host.add_route(&router.network(other, false), router.gateway(end, false))?;
        }
        Ok(())
    }

    /// Loses everything that goes this way, without a word.
    pub fn cut(&self, way: Way) -> Result<()> {
        match &self.joint {
            Joint::Cable(cable) | Joint::Switched(cable, _) => cable.cut(way),
            Joint::Router(router) => router.silence(way)?,
            Joint::Veth(_) => bail!("a veth pair cannot fall silent"),
        }
        Ok(())
    }

    /// Ends [`Line::cut`].
    pub fn heal(&self) -> Result<()> {
        match &self.joint {
            Joint::Cable(cable) | Joint::Switched(cable, _) => cable.heal(),
            Joint::Router(router) => router.heal()?,
            Joint::Veth(_) => {}
        }
        Ok(())
    }

    /// Deletes a veth pair: the interfaces are gone at both ends.
    pub fn unplug(&self) -> Result<()> {
        let Joint::Veth(veth) = &self.joint else {
            bail!("only veth pairs are deleted");
        };
        let device = &veth.a.device;
        Ok(veth
            .a
            .host
            .netlink(async |netlink| netlink.delete_link(device).await)?)
    }

    /// Makes a veth pair again: same names and addresses, other interface indexes.
    pub fn replug(&mut self) -> Result<()> {
        let plug = |end: End| Plug::new(&self.hosts[end as usize], &self.name);
        self.joint = Joint::Veth(Veth::join(plug(End::A), plug(End::B))?);
        self.prepare()
    }

    /// Takes the carrier from one end, or gives it back. On a veth pair the other end is switched
    /// off for that.
    pub fn set_carrier(&self, end: End, carrier: bool) -> Result<()> {
        match &self.joint {
            Joint::Cable(cable) => cable.set_carrier(end, carrier),
            Joint::Switched(_, accesses) => {
                let access = &accesses[end as usize];
                access.veth.set_carrier(End::A, carrier)
            }
            Joint::Router(router) => router.set_carrier(end, carrier),
            Joint::Veth(veth) => veth.set_carrier(end, carrier),
        }
    }

    /// The cable, if it is one: to change more of it.
    pub fn cable(&self) -> Option<&Cable> {
        match &self.joint {
            Joint::Cable(cable) | Joint::Switched(cable, _) => Some(cable),
            Joint::Veth(_) | Joint::Router(_) => None,
        }
    }

    /// The router, if it is one.
    pub fn router(&self) -> Option<&Router> {
        match &self.joint {
            Joint::Router(router) => Some(router),
            _ => None,
        }
    }
}

fn cable_options(number: u8, spec: &LineSpec, profile: &Profile) -> CableOptions {
    CableOptions {
        mtu: spec.mtu,
        profile: profile.clone(),
        // Lines that lose the same packets would be of no help to each other.
        seed: spec.seed + u64::from(number),
    }
}

fn join_cable(a: Plug, b: Plug, options: CableOptions, switched: bool) -> Result<Joint> {
    if !switched {
        return Ok(Joint::Cable(Cable::join(a, b, options)?));
    }
    let accesses = [Access::new(&a, options.mtu)?, Access::new(&b, options.mtu)?];
    let [at_a, at_b] = accesses
        .each_ref()
        .map(|access| Plug::new(&access.switch, "cable"));
    let cable = Cable::join(at_a, at_b, options)?;
    for access in &accesses {
        access.bridge("host")?;
        access.bridge("cable")?;
    }
    Ok(Joint::Switched(cable, accesses))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alike_lines_lose_different_packets() {
        let (spec, profile) = (LineSpec::cable(50.0, 20), Profile::default());
        let seed = |number| cable_options(number, &spec, &profile).seed;
        assert_ne!(seed(1), seed(2));
    }
}
