//! HTTPS.
//!
//! By default the index signs a certificate for itself with its own Ed25519 key. Members have that key pinned from
//! their join link, so no authority and no domain is needed, and nobody can stand in between. Nothing in the
//! certificate depends on time or chance: it is the same bytes after every restart.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use choir_shared::identity::SecretKey;
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, SerialNumber};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::TlsAcceptor;

/// The only protocol spoken over it.
const ALPN: &[u8] = b"http/1.1";

/// There is one certificate for each key, so any number will do.
const SERIAL: u64 = 1;

/// What members' programs see as the name; they look at the key.
const COMMON_NAME: &str = "choir-index";

/// With the index's own key.
pub(crate) fn own_key(secret: &SecretKey) -> Result<TlsAcceptor, TlsError> {
    let certificate = own_certificate(secret)?;
    acceptor(vec![certificate], PrivatePkcs8KeyDer::from(secret.to_pkcs8_der()).into())
}

/// The certificate of an index with this key.
pub(crate) fn own_certificate(secret: &SecretKey) -> Result<CertificateDer<'static>, TlsError> {
    self_signed(&PrivatePkcs8KeyDer::from(secret.to_pkcs8_der()))
}

/// With the operator's certificate chain and key, both in PEM.
pub(crate) fn operator(certificate: &Path, key: &Path) -> Result<TlsAcceptor, TlsError> {
    let wrong = |path: &Path| {
        let path = path.to_owned();
        move |source| TlsError::File { path, source }
    };
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(wrong(certificate))?;
    acceptor(chain, PrivateKeyDer::from_pem_file(key).map_err(wrong(key))?)
}

fn self_signed(key: &PrivatePkcs8KeyDer<'_>) -> Result<CertificateDer<'static>, TlsError> {
    let key = KeyPair::try_from(key)?;
    let mut params = CertificateParams::new(vec![COMMON_NAME.to_owned()])?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, COMMON_NAME);
    params.serial_number = Some(SerialNumber::from(SERIAL));
    Ok(params.self_signed(&key)?.der().clone())
}

fn acceptor(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> Result<TlsAcceptor, TlsError> {
    let mut config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![ALPN.to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("cannot read PEM from {path}")]
    File { path: PathBuf, source: rustls::pki_types::pem::Error },
    #[error("the certificate and its key cannot be used")]
    Certificate(#[from] rustls::Error),
    #[error("the index cannot sign a certificate with its own key")]
    OwnKey(#[from] rcgen::Error),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_certificate_is_the_same_after_every_restart_and_carries_the_index_key() {
        let secret = SecretKey::from_seed(&[1; 32]);
        let certificate = || self_signed(&PrivatePkcs8KeyDer::from(secret.to_pkcs8_der())).unwrap();
        assert_eq!(certificate(), certificate());
        let spki = secret.index_key().to_spki_der();
        assert!(certificate().windows(spki.len()).any(|window| window == spki));
        own_key(&secret).unwrap();
    }

    #[test]
    fn a_wrong_certificate_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("chain.pem");
        std::fs::write(&path, "junk").unwrap();
        let error = operator(&path, &path).err().unwrap();
        assert!(error.to_string().contains("chain.pem"), "{error}");
    }
}
