//! What a line may be used for.

/// The role of an uplink or a path, best first: a path has the worse (greater) of its two ends'.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Role {
    /// Carries always.
    #[default]
    Primary = 0,
    /// Carries when no primary is up.
    Backup = 1,
    /// Carries when nothing else is up: its bytes cost money.
    Metered = 2,
}

/// A role with its overflow flag, as it travels in one byte.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RoleCode {
    /// The role.
    pub role: Role,
    /// It also takes load that better ones cannot carry.
    pub overflow: bool,
}

impl RoleCode {
    const OVERFLOW: u8 = 0x80;

    /// The byte of Hello, CHALLENGE and RESPONSE.
    #[must_use]
    pub const fn to_byte(self) -> u8 {
        self.role as u8 | if self.overflow { Self::OVERFLOW } else { 0 }
    }

    /// Reads that byte. A role that this version does not know counts as metered, the one that is
    /// used least.
    #[must_use]
    pub const fn from_byte(byte: u8) -> Self {
        let role = match byte & !Self::OVERFLOW {
            0 => Role::Primary,
            1 => Role::Backup,
            _ => Role::Metered,
        };
        Self {
            role,
            overflow: byte & Self::OVERFLOW != 0,
        }
    }
}
