//! Whose TLS certificate is believed: the one file on the HTTP side that replaces rustls' own judgement.
//!
//! 1. A certificate on the **pinned key** is the index, whoever signed it, whatever names and dates it carries. The
//!    key was given by a join link or seen when joining; no authority knows more.
//! 2. Any **other certificate** must convince the operating system, as in a browser: an operator may have one for a
//!    domain. Such a server still has to show the pinned key in `/info` and in the tickets it signs.
//! 3. **Before joining** without a key at hand, a certificate on any Ed25519 key passes, and the key is remembered:
//!    the user is shown it, and from then on rule 1 holds.
//!
//! Only the question "is this certificate the right one" is answered here. That the server really has the key of the
//! certificate is checked by ring in every handshake, like everywhere.

use std::error::Error;
use std::io;
use std::sync::{Arc, OnceLock};

use choir_shared::identity::IndexKey;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, OtherError, SignatureScheme};

/// Makes ring the process's provider. To be called first in every main; calling it again changes nothing.
pub fn install_crypto() {
    // An error says that there is one already: ours, because no other is compiled in.
    let _ = ring::default_provider().install_default();
}

/// Which key a server must have.
#[derive(Clone, Debug)]
pub(crate) enum Expected {
    Pinned(IndexKey),
    /// Rule 3; the key is left in the cell.
    FirstSight(Arc<OnceLock<IndexKey>>),
}

/// The TLS settings of all connections to one index.
pub(crate) fn client_config(expected: Expected) -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(ring::default_provider());
    let verifier = IndexVerifier { expected, operator: OnceLock::new(), provider: provider.clone() };
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth())
}

/// A server with an index's certificate, but another index's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the certificate is on another key than the pinned one")]
pub(crate) struct OtherKey {
    pub(crate) pinned: IndexKey,
    pub(crate) found: IndexKey,
}

impl OtherKey {
    /// Finds this error under the layers that HTTP and WebSocket libraries wrap around it.
    pub(crate) fn within(error: &(dyn Error + 'static)) -> Option<Self> {
        let mut next = Some(error);
        while let Some(error) = next {
            if let Some(rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(inner)))) =
                error.downcast_ref()
            {
                return inner.downcast_ref().copied();
            }
            // The source of an io::Error is the source of what it wraps, and not what it wraps.
            let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
            next = wrapped.map(|inner| inner as &(dyn Error + 'static)).or_else(|| error.source());
        }
        None
    }
}

#[derive(Debug)]
struct IndexVerifier {
    expected: Expected,
    /// The operating system's judgement, asked for only if needed: it reads a hundred files. `None` where there is
    /// no store of authorities, as in small containers.
    operator: OnceLock<Option<rustls_platform_verifier::Verifier>>,
    provider: Arc<CryptoProvider>,
}

impl IndexVerifier {
    fn ask_system(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let system = self.operator.get_or_init(|| rustls_platform_verifier::Verifier::new(self.provider.clone()).ok());
        match system {
            Some(system) => system.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now),
            None => Err(CertificateError::UnknownIssuer.into()),
        }
    }
}

impl ServerCertVerifier for IndexVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let ask_system = || self.ask_system(end_entity, intermediates, server_name, ocsp_response, now);
        let Some(found) = index_key_of(end_entity) else { return ask_system() };
        match &self.expected {
            Expected::Pinned(pinned) if *pinned == found => Ok(ServerCertVerified::assertion()),
            Expected::Pinned(pinned) => ask_system()
                .map_err(|_| CertificateError::Other(OtherError(Arc::new(OtherKey { pinned: *pinned, found }))).into()),
            Expected::FirstSight(seen) if *seen.get_or_init(|| found) == found => Ok(ServerCertVerified::assertion()),
            Expected::FirstSight(_) => Err(CertificateError::ApplicationVerificationFailure.into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// The Ed25519 key of a certificate; `None` for those on any other kind.
fn index_key_of(certificate: &CertificateDer<'_>) -> Option<IndexKey> {
    let certificate = webpki::EndEntityCert::try_from(certificate).ok()?;
    IndexKey::from_spki_der(certificate.subject_public_key_info().as_ref()).ok()
}
