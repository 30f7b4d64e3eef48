//! A client of HAProxy that speaks TLS.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use edge_manager::certificates::{KeyKind, Leaf};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, Error, SignatureScheme, StreamOwned};

use crate::home::PATIENCE;

/// A connection after its handshake.
pub(crate) type Connection = StreamOwned<ClientConnection, TcpStream>;

/// Trusts everybody, and understands signatures of these kinds.
#[derive(Debug)]
struct Trusting {
    kinds: Vec<KeyKind>,
    provider: CryptoProvider,
}

impl ServerCertVerifier for Trusting {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let ecdsa = [SignatureScheme::ECDSA_NISTP256_SHA256, SignatureScheme::ECDSA_NISTP384_SHA384];
        let rsa = [SignatureScheme::RSA_PSS_SHA256, SignatureScheme::RSA_PKCS1_SHA256];
        let schemes = |kind: &KeyKind| match kind {
            KeyKind::Ecdsa => ecdsa,
            KeyKind::Rsa => rsa,
        };
        self.kinds.iter().flat_map(schemes).collect()
    }
}

/// Connects with this name, as a client that understands keys of these kinds.
pub(crate) fn connect(
    address: SocketAddr,
    name: &str,
    kinds: &[KeyKind],
) -> Result<Connection, std::io::Error> {
    let provider = aws_lc_rs::default_provider();
    let verifier = Trusting { kinds: kinds.to_vec(), provider: provider.clone() };
    let config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let mut connection = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    while connection.is_handshaking() {
        connection.complete_io(&mut stream)?;
    }
    Ok(StreamOwned::new(connection, stream))
}

/// What HAProxy shows a client that understands keys of these kinds.
pub(crate) fn shown(address: SocketAddr, name: &str, kinds: &[KeyKind]) -> Leaf {
    let connection = connect(address, name, kinds).unwrap();
    leaf(connection.conn.peer_certificates().unwrap())
}

/// What HAProxy shows a client that understands everything.
pub(crate) fn served(address: SocketAddr, name: &str) -> Leaf {
    shown(address, name, &[KeyKind::Ecdsa, KeyKind::Rsa])
}

fn leaf(chain: &[CertificateDer<'_>]) -> Leaf {
    let text = BASE64_STANDARD.encode(&chain[0]);
    Leaf::parse(&format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")).unwrap()
}

/// The whole answer to a request on this connection.
pub(crate) fn get(connection: &mut Connection, host: &str, path: &str) -> String {
    write!(connection, "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    // HAProxy may leave out the last word of TLS.
    let _ = connection.read_to_end(&mut answer);
    String::from_utf8(answer).unwrap()
}
