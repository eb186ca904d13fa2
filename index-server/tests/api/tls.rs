//! HTTPS with the index's own key, and the client side of raw public keys.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use choir_index::settings::Access;
use choir_shared::identity::{IndexKey, SecretKey};
use choir_shared::index_api::{Info, PREFIX};
use choir_shared::rendezvous::ALPN;
use rustls::client::AlwaysResolvesClientRawPublicKeys;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{ring, verify_tls13_signature, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::sign::CertifiedKey;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::http::send_over;
use crate::world::World;

#[tokio::test]
async fn beyond_loopback_the_index_speaks_https_with_its_own_key() {
    let world = World::start_with(|settings| {
        settings.listen = vec!["0.0.0.0:0".parse().unwrap()];
        settings.access = Access::Invite;
    })
    .await;
    assert!(world.ready.listeners[0].starts_with("https://"));
    let key = world.ready.join_link.key.unwrap();
    let info = get_info(&world, key).await.unwrap();
    assert_eq!(info.key, key);

    let other = SecretKey::from_seed(&[1; 32]).index_key();
    assert!(get_info(&world, other).await.is_none(), "whoever has pinned another key is safe");
}

async fn get_info(world: &World, key: IndexKey) -> Option<Info> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, world.address.port()));
    let stream = TcpStream::connect(address).await.unwrap();
    let config = client(key, false).with_no_client_auth();
    let connector = TlsConnector::from(Arc::new(config));
    let stream = connector.connect(ServerName::try_from("any.name").unwrap(), stream).await.ok()?;
    Some(send_over(stream, "GET", &format!("{PREFIX}/info"), &[], b"").await.json())
}

/// What a peer speaks to the rendezvous.
pub(crate) fn raw_public_keys(secret: &SecretKey, index: IndexKey) -> ClientConfig {
    let key = ring::sign::any_eddsa_type(&PrivatePkcs8KeyDer::from(secret.to_pkcs8_der())).unwrap();
    let public = CertificateDer::from(secret.peer_id().to_spki_der());
    let certified = Arc::new(CertifiedKey::new(vec![public], key));
    let mut config =
        client(index, true).with_client_cert_resolver(Arc::new(AlwaysResolvesClientRawPublicKeys::new(certified)));
    config.alpn_protocols = vec![ALPN.to_vec()];
    config
}

type Undecided = rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert>;

fn client(key: IndexKey, raw: bool) -> Undecided {
    ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Pinned { key, raw }))
}

/// Knows the key it expects, in a certificate or bare.
#[derive(Debug)]
struct Pinned {
    key: IndexKey,
    raw: bool,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let spki = self.key.to_spki_der();
        let found = certificate.windows(spki.len()).any(|window| window == spki);
        let refused = Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure);
        if found { Ok(ServerCertVerified::assertion()) } else { Err(refused) }
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        unreachable!("TLS 1.3 only")
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = ring::default_provider().signature_verification_algorithms;
        if self.raw {
            let key = SubjectPublicKeyInfoDer::from(certificate.as_ref());
            verify_tls13_signature_with_raw_key(message, &key, signature, &algorithms)
        } else {
            verify_tls13_signature(message, certificate, signature, &algorithms)
        }
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        self.raw
    }
}
