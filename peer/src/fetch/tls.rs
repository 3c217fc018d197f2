//! TLS for HTTPS: rustls with the aws-lc-rs provider, named, because a build may hold a second one.

use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore, pki_types::CertificateDer};

/// A client that trusts the certificate authorities of the system (or, where there are none, those that browsers
/// ship) and `extra_roots`.
pub(super) fn client_config(extra_roots: &[CertificateDer<'static>]) -> ClientConfig {
    config_trusting(roots(extra_roots))
}

/// A client that trusts nobody, for requests over plain HTTP: reqwest wants one even there, and reading the system's
/// certificates takes milliseconds.
pub(super) fn distrusting_config() -> ClientConfig {
    config_trusting(RootCertStore::empty())
}

fn config_trusting(roots: RootCertStore) -> ClientConfig {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("aws-lc-rs supports TLS 1.2 and 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config
}

fn roots(extra_roots: &[CertificateDer<'static>]) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    let native = rustls_native_certs::load_native_certs();
    for error in &native.errors {
        tracing::debug!(%error, "a system certificate cannot be read");
    }
    roots.add_parsable_certificates(native.certs);
    if roots.is_empty() {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    roots.add_parsable_certificates(extra_roots.iter().cloned());
    roots
}
