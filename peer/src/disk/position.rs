//! Reading and writing at a position, which leaves the position of the handle alone and so is safe to share.

use std::{fs::File, io};

/// Fills `buffer` from `offset` on; [`io::ErrorKind::UnexpectedEof`] if the file ends before.
pub(crate) fn read_exact_at(file: &File, mut buffer: &mut [u8], mut offset: u64) -> io::Result<()> {
    while !buffer.is_empty() {
        match read_at(file, buffer, offset) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => {
                buffer = &mut buffer[count..];
                offset += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Fills `buffer` from `offset` on if the system has all of it in its memory; else, or where that cannot be asked, gives
/// up at once without waiting for a device.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn read_in_memory(file: &File, buffer: &mut [u8], offset: u64) -> bool {
    use rustix::io::{ReadWriteFlags, preadv2};
    let mut done = 0;
    while done < buffer.len() {
        let mut rest = [io::IoSliceMut::new(&mut buffer[done..])];
        match preadv2(file, &mut rest, offset + done as u64, ReadWriteFlags::NOWAIT) {
            Ok(0) | Err(_) => return false,
            Ok(count) => done += count,
        }
    }
    true
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) fn read_in_memory(_: &File, _: &mut [u8], _: u64) -> bool {
    false
}

/// Tells the system that this range is going to be read in order.
#[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
pub(crate) fn read_ahead(file: &File, offset: u64, length: u64) {
    if let Some(length) = std::num::NonZeroU64::new(length) {
        // Advice: a file system that has none to take loses nothing.
        let _ = rustix::fs::fadvise(file, offset, Some(length), rustix::fs::Advice::WillNeed);
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android", target_os = "freebsd")))]
pub(crate) fn read_ahead(_: &File, _: u64, _: u64) {}

/// Bytes written with one call at most. For a longer write Linux takes larger folios, from the memory that was free for
/// longest. In a virtual machine the host may have taken that back, and to get it again cost two to five times the
/// processor time of the whole write; smaller ones are made of pages that were in use a moment ago.
const WRITE_LENGTH_MAX: usize = 64 * 1024;

/// Writes all of `bytes` from `offset` on.
pub(crate) fn write_all_at(file: &File, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        match write_at(file, &bytes[..bytes.len().min(WRITE_LENGTH_MAX)], offset) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => {
                bytes = &bytes[count..];
                offset += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(unix)]
fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, buffer, offset)
}

#[cfg(unix)]
fn write_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::write_at(file, bytes, offset)
}

#[cfg(windows)]
fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, buffer, offset)
}

#[cfg(windows)]
fn write_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_write(file, bytes, offset)
}

/// The blocks that most file systems keep holes by, in bytes.
#[cfg(any(target_os = "linux", target_os = "android"))]
const HOLE_BLOCK: u64 = 4096;

/// Whether this range is all zeros because nothing was ever written to it, as far as the file system tells: it knows of
/// whole blocks, and those at the ends may be shared with what was written beside the range, so they are looked at.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn is_hole(file: &File, offset: u64, length: u64) -> bool {
    let end = offset + length;
    let (first, last) = (offset.next_multiple_of(HOLE_BLOCK), end - end % HOLE_BLOCK);
    if first >= last {
        return is_free_of_data(file, offset, end);
    }
    // Data that begins past the last whole block may belong to the neighbour.
    is_free_of_data(file, first, last) && is_zeros(file, offset, first) && is_zeros(file, last, end)
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn is_free_of_data(file: &File, from: u64, to: u64) -> bool {
    use rustix::{
        fs::{SeekFrom, seek},
        io::Errno,
    };
    // This moves the position of the handle, which nobody uses.
    match seek(file, SeekFrom::Data(from)) {
        Ok(data) => data >= to,
        Err(errno) => errno == Errno::NXIO,
    }
}

/// Of less than a block.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn is_zeros(file: &File, from: u64, to: u64) -> bool {
    let mut bytes = [0; HOLE_BLOCK as usize];
    let bytes = &mut bytes[..(to - from) as usize];
    read_exact_at(file, bytes, from).is_ok() && bytes.iter().all(|byte| *byte == 0)
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) fn is_hole(_: &File, _: u64, _: u64) -> bool {
    false
}

/// Drops what the system's memory holds of this range, as far as the device has it.
#[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
pub(crate) fn forget_cached(file: &File, offset: u64, length: u64) {
    if let Some(length) = std::num::NonZeroU64::new(length) {
        // Advice: a file system that has none to take loses nothing.
        let _ = rustix::fs::fadvise(file, offset, Some(length), rustix::fs::Advice::DontNeed);
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android", target_os = "freebsd")))]
pub(crate) fn forget_cached(_: &File, _: u64, _: u64) {}
