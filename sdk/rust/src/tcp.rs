//! Connections of bytes. The host looks the name up, checks the address against the operator's rules, and speaks TLS.

use std::io::{self, Read, Write};
use std::time::Duration;

use serde_json::{Map, Value};

use crate::host::{Host, Socket};
use crate::values::json_text;
use crate::{Error, Result};

/// How much is asked for at a time.
const BLOCK: u32 = 64 << 10;

/// How a connection is made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TcpOptions {
    /// Whether it is encrypted, with a certificate that is checked against the host's name.
    pub tls: bool,
    /// Take whatever certificate the server shows.
    pub insecure: bool,
    /// PEM text of certificate authorities to trust beside the host's.
    pub ca_pem: Option<String>,
    /// How long it may take to be made.
    pub connect_timeout: Option<Duration>,
    /// How long the other side may be silent.
    pub read_timeout: Option<Duration>,
}

impl TcpOptions {
    fn json(&self) -> String {
        let millis =
            |time: Option<Duration>| time.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
        let mut map = Map::new();
        map.insert("tls".to_owned(), self.tls.into());
        map.insert("insecure".to_owned(), self.insecure.into());
        if let Some(pem) = &self.ca_pem {
            map.insert("caPem".to_owned(), pem.as_str().into());
        }
        for (name, time) in [("connectTimeoutMs", self.connect_timeout), ("readTimeoutMs", self.read_timeout)]
        {
            if let Some(time) = millis(time) {
                map.insert(name.to_owned(), time.into());
            }
        }
        json_text(&Value::Object(map))
    }
}

/// Makes connections. A plugin file needs the grant `tcp`.
#[derive(Debug)]
pub struct Tcp<'a>(pub(crate) &'a Host);

impl Tcp<'_> {
    /// A connection to `host`, a name or an address.
    pub fn connect(&self, host: &str, port: u16, options: &TcpOptions) -> Result<TcpConnection> {
        let socket = self.0.connect(host, port, &options.json())?;
        Ok(TcpConnection { socket, read: Vec::new(), at: 0 })
    }
}

/// A connection of bytes; dropping it closes it.
#[derive(Debug)]
pub struct TcpConnection {
    socket: Socket,
    read: Vec<u8>,
    at: usize,
}

impl Read for TcpConnection {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at == self.read.len() {
            // As much as is wanted, but not a call of the host for each few bytes.
            let wanted = u32::try_from(buffer.len()).unwrap_or(u32::MAX).clamp(BLOCK, 16 * BLOCK);
            self.read = self.socket.read(wanted).map_err(failed)?;
            self.at = 0;
        }
        let length = buffer.len().min(self.read.len() - self.at);
        buffer[..length].copy_from_slice(&self.read[self.at..self.at + length]);
        self.at += length;
        Ok(length)
    }
}

impl Write for TcpConnection {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.socket.write(bytes).map_err(failed)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn failed(error: Error) -> io::Error {
    io::Error::other(error.message().to_owned())
}
