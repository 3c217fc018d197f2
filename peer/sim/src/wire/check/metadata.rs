//! Metadata is accepted with the right hash only, and means the torrent that everybody else has.

use super::Violation;
use crate::wire::{net::HostId, world::World};

impl World<'_> {
    /// The machine of this node says that it has the metadata.
    pub(in crate::wire) fn check_metadata(&self, host: HostId, info: &[u8]) -> Result<(), Violation> {
        if self.metadata().info.as_deref() == Some(info) {
            return Ok(());
        }
        Err(Violation::new("metadata has the right hash", format!("{host} takes {} other bytes", info.len())))
    }

    /// The same bytes are read as the engine does it, and mean this torrent.
    pub(in crate::wire) fn check_reading(&self, host: HostId, info: &[u8]) -> Result<(), Violation> {
        let wrong =
            |what: String| Err(Violation::new("metadata means the torrent", format!("{host}: {what}")));
        let metainfo = match self.metadata().read(info) {
            Ok(metainfo) => metainfo,
            Err(error) => return wrong(error.to_string()),
        };
        if metainfo.geometry() != self.payload().geometry || metainfo.info_hash() != self.metadata().info_hash
        {
            return wrong("it is of another torrent".to_owned());
        }
        if metainfo.private() != self.plan().beyond.is_private {
            return wrong(format!("it is private: {}", metainfo.private()));
        }
        Ok(())
    }
}
