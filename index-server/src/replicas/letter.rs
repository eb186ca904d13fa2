//! Letters between the programs of one index.
//!
//! A letter is a POST with a seal: a time, and a code over time and body with a key that only this index's programs
//! have. One that is old is refused; one that is sent twice meanwhile tells a peer twice of the same introduction. Over
//! `https://` the other program shows the certificate of the index's own key, or one that the system believes.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use choir_shared::PeerId;
use choir_shared::control::FromIndex;
use choir_shared::index_api::Candidate;
use reqwest::StatusCode;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, SignatureScheme};
use serde::{Deserialize, Serialize};

use crate::clock::now_unix_s;
use crate::keys::IndexKeys;
use crate::mac::MacKey;
use crate::serve::tls::{self, TlsError};

/// Where letters go.
pub(crate) const PATH: &str = "/internal/v1/introductions";

/// The header with the seal.
pub(crate) const SEAL: &str = "x-choir-seal";

/// How far the clocks of two programs may be apart, and how long a letter may take.
const FRESH_S: u64 = 30;

/// Whoever asked waits for the answer.
const PATIENCE: Duration = Duration::from_secs(4);

const CODE_BYTES: usize = 32;

/// "Tell the peer that is connected to you."
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Letter {
    pub(crate) to: PeerId,
    pub(crate) message: FromIndex,
}

/// Sends letters.
pub(crate) struct Post {
    key: MacKey,
    client: reqwest::Client,
}

impl Post {
    pub(super) fn new(keys: &IndexKeys) -> Result<Self, PostError> {
        let provider = Arc::new(ring::default_provider());
        let own = tls::own_certificate(&keys.secret)?;
        let system = rustls_platform_verifier::Verifier::new(provider.clone()).ok();
        let tls = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Verifier { own, system, provider }))
            .with_no_client_auth();
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .timeout(PATIENCE)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()?;
        Ok(Self { key: keys.replicas.clone(), client })
    }

    /// Where the peer that was told can be met; `None` if it is not connected there.
    pub(crate) async fn send(&self, url: &str, letter: &Letter) -> Result<Option<Vec<Candidate>>, PostError> {
        let body = serde_json::to_vec(letter)?;
        let request = self.client.post(format!("{url}{PATH}")).header(SEAL, seal(&self.key, &body, now_unix_s()));
        let answer = request.body(body).send().await?;
        if answer.status() == StatusCode::CONFLICT {
            return Ok(None);
        }
        Ok(Some(answer.error_for_status()?.json().await?))
    }
}

fn seal(key: &MacKey, body: &[u8], now_unix_s: u64) -> String {
    let time = now_unix_s.to_be_bytes();
    BASE64.encode([&time[..], key.mac(&[&time, body]).as_bytes()].concat())
}

/// What a letter says, if another program of this index has written it just now.
pub(crate) fn open(key: &MacKey, seal: &str, body: &Bytes, now_unix_s: u64) -> Option<Letter> {
    let bytes: [u8; 8 + CODE_BYTES] = BASE64.decode(seal).ok()?.try_into().ok()?;
    let (time, code) = bytes.split_first_chunk::<8>()?;
    let is_fresh = u64::from_be_bytes(*time).abs_diff(now_unix_s) <= FRESH_S;
    let is_ours = key.verifies(&[time, body], code.first_chunk::<CODE_BYTES>()?);
    if is_fresh && is_ours { serde_json::from_slice(body).ok() } else { None }
}

/// Why a letter could not be sent.
#[derive(Debug, thiserror::Error)]
pub enum PostError {
    #[error(transparent)]
    Certificate(#[from] TlsError),
    #[error("the TLS settings of letters between replicas are impossible")]
    Tls(#[from] rustls::Error),
    #[error("a replica does not answer")]
    Http(#[from] reqwest::Error),
    #[error("a letter cannot be written")]
    Unwritable(#[from] serde_json::Error),
}

/// All programs of an index have its key, and make the same certificate from it.
#[derive(Debug)]
struct Verifier {
    own: CertificateDer<'static>,
    /// `None` where there is no store of authorities.
    system: Option<rustls_platform_verifier::Verifier>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        match &self.system {
            _ if *end_entity == self.own => Ok(ServerCertVerified::assertion()),
            Some(system) => system.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now),
            None => Err(CertificateError::UnknownIssuer.into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use choir_shared::identity::SecretKey;

    use super::*;

    const NOW: u64 = 1_800_000_000;

    #[test]
    fn only_a_fresh_letter_of_the_same_index_is_opened() {
        let key = |seed| IndexKeys::from_seed(&[seed; 32]).replicas;
        let letter = Letter { to: SecretKey::from_seed(&[9; 32]).peer_id(), message: FromIndex::Superseded };
        let body = Bytes::from(serde_json::to_vec(&letter).unwrap());
        let sealed = seal(&key(1), &body, NOW);
        assert_eq!(open(&key(1), &sealed, &body, NOW), Some(letter));
        assert!(open(&key(1), &sealed, &body, NOW + FRESH_S).is_some());
        assert!(open(&key(1), &sealed, &body, NOW - FRESH_S).is_some(), "clocks differ");
        assert_eq!(open(&key(1), &sealed, &body, NOW + FRESH_S + 1), None);
        assert_eq!(open(&key(2), &sealed, &body, NOW), None);
        let other = Bytes::from(body.iter().chain(b" ").copied().collect::<Vec<_>>());
        assert_eq!(open(&key(1), &sealed, &other, NOW), None, "the body is sealed");
        for junk in ["", "=", "ü", &"A".repeat(100_000)] {
            assert_eq!(open(&key(1), junk, &body, NOW), None);
        }
    }
}
