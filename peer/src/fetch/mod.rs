//! Requests to servers that someone named by URL: the policy on URLs, HTTP and HTTPS under it, and `.torrent` files.

mod http;
pub mod policy;
mod redact;
mod resolve;
#[cfg(test)]
pub(crate) mod test_server;
#[cfg(test)]
mod tests;
mod tls;
mod torrent;

pub use self::{
    http::{CONNECT_TIMEOUT, HttpClient, REDIRECTS_MAX, USER_AGENT},
    policy::Origin,
    resolve::Bind,
    torrent::{FETCH_TIMEOUT, FetchError, fetch_torrent},
};
pub(crate) use self::{
    http::{Get, Got, HttpError},
    resolve::{Resolved, resolve},
};
