//! Updates of a DNS server (RFC 2136), signed with a shared key (RFC 8945).

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::dns_answer::Answer;
use super::tsig::TsigKey;
use crate::clock::now_s;

/// How long a server may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long others may keep a record, seconds.
const TTL_S: u32 = 60;

/// Types and classes of records (RFC 1035, section 3.2; RFC 2136, section 2.4).
pub(super) const SOA: u16 = 6;
const TXT: u16 = 16;
pub(super) const IN: u16 = 1;
const NONE: u16 = 254;

/// The operations (RFC 1035, section 4.1.1; RFC 2136, section 1.3), as they stand in the head of a message.
const QUERY: u16 = 0;
const UPDATE: u16 = 5 << 11;

/// A server that takes updates of a domain.
#[derive(Clone, Debug)]
pub struct DnsUpdate {
    server: SocketAddr,
    key: Option<TsigKey>,
}

impl DnsUpdate {
    /// This server, with the key of a file as `tsig-keygen` writes it.
    ///
    /// # Errors
    /// The file cannot be read, or is of another form: in one line, without the key.
    pub fn new(server: SocketAddr, key_file: Option<&Path>) -> Result<Self, String> {
        let key = key_file.map(|path| {
            let text =
                std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
            TsigKey::parse(&text).map_err(|why| format!("{}: {why}", path.display()))
        });
        Ok(Self { server, key: key.transpose()? })
    }

    /// Adds a TXT record.
    ///
    /// # Errors
    /// In one line.
    pub(super) async fn add(&self, name: &str, value: &str) -> Result<(), String> {
        self.update(name, value, IN, TTL_S).await
    }

    /// Removes a TXT record (RFC 2136, section 2.5.4).
    ///
    /// # Errors
    /// In one line.
    pub(super) async fn delete(&self, name: &str, value: &str) -> Result<(), String> {
        self.update(name, value, NONE, 0).await
    }

    async fn update(&self, name: &str, value: &str, class: u16, ttl_s: u32) -> Result<(), String> {
        let zone = self.zone(name).await?;
        let message = Message::update(random_id()?, &zone, name, value, class, ttl_s)?;
        let mut bytes = message.bytes;
        if let Some(key) = &self.key {
            key.sign(&mut bytes, u64::from(now_s()))?;
        }
        let answer = self.ask(&bytes).await?;
        match answer.code {
            0 => Ok(()),
            code => Err(format!("{} answers {}", self.server, code_name(code))),
        }
    }

    /// The zone that a name lies in: the longest one that the server has a SOA record of.
    async fn zone(&self, name: &str) -> Result<String, String> {
        let mut zone = name;
        loop {
            let mut message = Message::new(random_id()?, QUERY);
            message.question(zone, SOA)?;
            let answer = self.ask(&message.bytes).await?;
            if answer.code == 0 && answer.has_soa_of(&wire_name(zone)?) {
                return Ok(zone.to_owned());
            }
            match zone.split_once('.') {
                Some((_, parent)) => zone = parent,
                None => return Err(format!("{} has no zone for it", self.server)),
            }
        }
    }

    /// Over TCP (RFC 7766): it needs no repetition, and has room for a signature.
    async fn ask(&self, message: &[u8]) -> Result<Answer, String> {
        let exchange = async {
            let mut stream = TcpStream::connect(self.server).await?;
            let length = u16::try_from(message.len()).map_err(io::Error::other)?;
            stream.write_all(&[&length.to_be_bytes(), message].concat()).await?;
            let length = stream.read_u16().await?;
            let mut answer = vec![0; length.into()];
            stream.read_exact(&mut answer).await?;
            Ok::<_, io::Error>(answer)
        };
        let answer = match timeout(PATIENCE, exchange).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => return Err(format!("{}: {error}", self.server)),
            Err(_) => return Err(format!("{}: no answer in {} s", self.server, PATIENCE.as_secs())),
        };
        Answer::parse(answer)
            .filter(|answer| answer.bytes[..2] == message[..2])
            .ok_or_else(|| format!("{}: its answer cannot be understood", self.server))
    }
}

/// A message that is being written (RFC 1035, section 4).
struct Message {
    bytes: Vec<u8>,
}

impl Message {
    fn new(id: u16, operation: u16) -> Self {
        Self { bytes: [id, operation, 0, 0, 0, 0].map(u16::to_be_bytes).concat() }
    }

    /// An update of one TXT record (RFC 2136, section 2).
    fn update(id: u16, zone: &str, name: &str, value: &str, class: u16, ttl_s: u32) -> Result<Self, String> {
        let mut message = Self::new(id, UPDATE);
        message.question(zone, SOA)?;
        message.text_record(name, value, class, ttl_s)?;
        Ok(message)
    }

    /// The question, or the zone of an update.
    fn question(&mut self, name: &str, kind: u16) -> Result<(), String> {
        self.bytes.extend(wire_name(name)?);
        self.bytes.extend([kind, IN].map(u16::to_be_bytes).concat());
        self.bytes[5] += 1;
        Ok(())
    }

    /// A record of the update, which stands where a query has its authorities.
    fn text_record(&mut self, name: &str, value: &str, class: u16, ttl_s: u32) -> Result<(), String> {
        let length = u8::try_from(value.len()).map_err(|_| "the value is too long".to_owned())?;
        self.bytes.extend(wire_name(name)?);
        self.bytes.extend([TXT, class].map(u16::to_be_bytes).concat());
        self.bytes.extend(ttl_s.to_be_bytes());
        self.bytes.extend((u16::from(length) + 1).to_be_bytes());
        self.bytes.push(length);
        self.bytes.extend(value.as_bytes());
        self.bytes[9] += 1;
        Ok(())
    }
}

/// Labels with their lengths, in lower case (RFC 4034, section 6.2: what is signed is so).
pub(super) fn wire_name(name: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    for label in name.trim_end_matches('.').split('.') {
        let length = u8::try_from(label.len()).ok().filter(|length| (1..64).contains(length));
        bytes.push(length.ok_or_else(|| format!("{name}: no name of DNS"))?);
        bytes.extend(label.to_ascii_lowercase().as_bytes());
    }
    bytes.push(0);
    if bytes.len() > 255 { Err(format!("{name}: no name of DNS")) } else { Ok(bytes) }
}

fn random_id() -> Result<u16, String> {
    let mut id = [0; 2];
    getrandom::fill(&mut id).map_err(|error| error.to_string())?;
    Ok(u16::from_be_bytes(id))
}

fn code_name(code: u8) -> String {
    let names = ["NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED", "YXDOMAIN", "YXRRSET"];
    let more = ["NXRRSET", "NOTAUTH", "NOTZONE"];
    let name = names.iter().chain(&more).nth(code.into());
    name.map_or_else(|| format!("error {code}"), ToString::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What dnspython 2.3 makes of the same, without compression of names.
    #[test]
    fn an_update_and_its_signature_are_those_of_another_implementation() {
        let (zone, name) = ("shop.example", "_acme-challenge.Shop.Example");
        let message = Message::update(0x1234, zone, name, "value", IN, TTL_S).unwrap();
        let plain = "1234280000010000000100000473686f70076578616d706c6500000600010f5f61636d652d6368616c6c656e6765\
                     0473686f70076578616d706c6500001000010000003c00060576616c7565";
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        assert_eq!(hex(&message.bytes), plain);
        let text = r#"key "edge" { algorithm hmac-sha256; secret "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LTEyMzQ="; };"#;
        let mut signed = message.bytes.clone();
        TsigKey::parse(text).unwrap().sign(&mut signed, 1_700_000_000).unwrap();
        let signature = "04656467650000fa00ff00000000003d0b686d61632d7368613235360000006553f100012c00208731562bdece\
                         837b38e3a08c088cba583bfe5a144a4543186da048ebc800c71b123400000000";
        assert_eq!(hex(&signed[message.bytes.len()..]), signature);
        assert_eq!(
            signed[..message.bytes.len()],
            [&message.bytes[..11], &[1], &message.bytes[12..]].concat()
        );
        let removal = Message::update(0x1234, zone, name, "value", NONE, 0).unwrap();
        assert!(hex(&removal.bytes).ends_with("001000fe0000000000060576616c7565"));
    }

    #[test]
    fn what_is_no_name_of_dns_is_refused() {
        let long = "a".repeat(64);
        for bad in ["", "a..b", &long, &["a"; 130].join(".")] {
            assert!(wire_name(bad).is_err(), "{bad}");
        }
        assert_eq!(wire_name("A.b.").unwrap(), b"\x01a\x01b\0");
    }
}
