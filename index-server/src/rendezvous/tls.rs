//! TLS 1.3 with raw public keys (RFC 7250) both ways. The one file here that goes around certificate checks.
//!
//! A certificate would say that some authority believes a name to own a key. Here the key *is* the identity, so there
//! is nothing to believe: what must hold is that the other side signs this very handshake with it. That check is
//! rustls' own and always runs; [`Members::verify_client_cert`] only makes sure that what is presented is an Ed25519
//! key at all. Whether the key is a member's is decided after the handshake.
//!
//! TLS 1.3 only, no session tickets (a resumed session would skip the proof), no early data.

use std::sync::Arc;

use choir_shared::PeerId;
use choir_shared::identity::SecretKey;
use choir_shared::rendezvous::ALPN;
use quinn::crypto::rustls::QuicServerConfig;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{WebPkiSupportedAlgorithms, ring, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, SubjectPublicKeyInfoDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{AlwaysResolvesServerRawPublicKeys, NoServerSessionStorage};
use rustls::sign::CertifiedKey;
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, PeerIncompatible, ServerConfig, SignatureScheme,
};

pub(super) fn server(secret: &SecretKey) -> Result<QuicServerConfig, Error> {
    let provider = ring::default_provider();
    let verifier = Members { algorithms: provider.signature_verification_algorithms };
    let mut config = ServerConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_client_cert_verifier(Arc::new(verifier))
        .with_cert_resolver(Arc::new(AlwaysResolvesServerRawPublicKeys::new(certified(secret)?)));
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    QuicServerConfig::try_from(config).map_err(|error| Error::General(error.to_string()))
}

/// Our own raw public key, with what signs for it.
fn certified(secret: &SecretKey) -> Result<Arc<CertifiedKey>, Error> {
    let key = ring::sign::any_eddsa_type(&PrivatePkcs8KeyDer::from(secret.to_pkcs8_der()))?;
    let public = CertificateDer::from(secret.index_key().to_spki_der());
    Ok(Arc::new(CertifiedKey::new(vec![public], key)))
}

/// Accepts any Ed25519 key that signs the handshake.
#[derive(Debug)]
struct Members {
    algorithms: WebPkiSupportedAlgorithms,
}

impl ClientCertVerifier for Members {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        key: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        match PeerId::from_spki_der(key) {
            Ok(_) if intermediates.is_empty() => Ok(ClientCertVerified::assertion()),
            _ => Err(Error::InvalidCertificate(CertificateError::BadEncoding)),
        }
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _key: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::PeerIncompatible(PeerIncompatible::Tls12NotOffered))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        key: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let key = SubjectPublicKeyInfoDer::from(key.as_ref());
        verify_tls13_signature_with_raw_key(message, &key, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}
