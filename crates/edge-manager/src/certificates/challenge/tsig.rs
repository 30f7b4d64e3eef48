//! Signatures of DNS messages with a shared key (RFC 8945).

use std::fmt;

use aws_lc_rs::hmac;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::update::wire_name;

/// The type and the class of the record that a signature is (RFC 8945, section 4.2).
const TSIG: u16 = 250;
const ANY: u16 = 255;

/// How far clocks may differ, seconds: what RFC 8945, section 10 recommends.
const FUDGE_S: u16 = 300;

/// A shared key.
#[derive(Clone)]
pub(super) struct TsigKey {
    name: Vec<u8>,
    algorithm: &'static str,
    key: hmac::Key,
}

impl fmt::Debug for TsigKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TsigKey({})", self.algorithm)
    }
}

impl TsigKey {
    /// From a text as `tsig-keygen` writes it: `key "NAME" { algorithm hmac-sha256; secret "BASE64"; };`
    ///
    /// # Errors
    /// What is missing, without the secret.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let words =
            text.split(|c: char| c.is_whitespace() || "{};\"".contains(c)).filter(|word| !word.is_empty());
        let words: Vec<&str> = words.collect();
        let after = |word: &str| {
            let at = words.iter().position(|found| *found == word);
            at.and_then(|at| words.get(at + 1)).ok_or_else(|| format!("{word} is missing"))
        };
        let (algorithm, digest) = match *after("algorithm")? {
            "hmac-sha256" => ("hmac-sha256", hmac::HMAC_SHA256),
            "hmac-sha512" => ("hmac-sha512", hmac::HMAC_SHA512),
            _ => return Err("the algorithm is neither hmac-sha256 nor hmac-sha512".to_owned()),
        };
        let secret =
            BASE64_STANDARD.decode(after("secret")?).map_err(|_| "the secret is no base64".to_owned())?;
        Ok(Self { name: wire_name(after("key")?)?, algorithm, key: hmac::Key::new(digest, &secret) })
    }

    /// Puts the signature of a message behind it, made at this time, seconds since the Unix epoch.
    ///
    /// # Errors
    /// None: the name of an algorithm is one of DNS.
    pub(super) fn sign(&self, message: &mut Vec<u8>, now_s: u64) -> Result<(), String> {
        let algorithm = wire_name(self.algorithm)?;
        // 48 bits.
        let time = &now_s.to_be_bytes()[2..];
        // RFC 8945, section 4.3.3: neither an error nor other data.
        let variables: Vec<u8> = [
            &*self.name,
            &ANY.to_be_bytes(),
            &0u32.to_be_bytes(),
            &algorithm,
            time,
            &FUDGE_S.to_be_bytes(),
            &[0; 4],
        ]
        .concat();
        let signature = hmac::sign(&self.key, &[&**message, &variables].concat());
        let signature = signature.as_ref();
        let length = u16::try_from(signature.len()).map_err(|error| error.to_string())?;
        let data: Vec<u8> = [
            &*algorithm,
            time,
            &FUDGE_S.to_be_bytes(),
            &length.to_be_bytes(),
            signature,
            &message[..2],
            &[0; 4],
        ]
        .concat();
        let data_length = u16::try_from(data.len()).map_err(|error| error.to_string())?;
        message.extend(&self.name);
        message.extend([TSIG, ANY].map(u16::to_be_bytes).concat());
        message.extend(0u32.to_be_bytes());
        message.extend(data_length.to_be_bytes());
        message.extend(data);
        // One record more in the last part.
        message[11] += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "key \"edge\" {\n\talgorithm hmac-sha256;\n\tsecret \"c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LTEyMzQ=\";\n};\n";

    #[test]
    fn a_key_is_read_and_not_shown() {
        let key = TsigKey::parse(FILE).unwrap();
        assert_eq!(key.name, b"\x04edge\0");
        assert_eq!(format!("{key:?}"), "TsigKey(hmac-sha256)");
    }

    #[test]
    fn what_is_missing_is_told_without_the_secret() {
        for (from, to, why) in [
            ("hmac-sha256", "hmac-md5", "the algorithm is neither hmac-sha256 nor hmac-sha512"),
            ("algorithm", "", "algorithm is missing"),
            ("secret \"c2", "secret \"!", "the secret is no base64"),
        ] {
            assert_eq!(TsigKey::parse(&FILE.replacen(from, to, 1)).unwrap_err(), why);
        }
    }
}
