//! Opening a file below a shared folder, and nowhere else.
//!
//! Between a scan and an upload somebody may put a link where a folder was. So the path is walked one component at a
//! time from a handle of the shared folder, and no link is followed on the way: what opens lies inside.

use std::fs::File;
use std::io;
use std::path::{Component, Path};

use rustix::fs::{Mode, OFlags, open, openat};

/// Opens `relative`, a regular file below `folder`, for reading.
pub(crate) fn open_file(folder: &Path, relative: &Path) -> io::Result<File> {
    let step = OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::RDONLY;
    // The folder itself was canonical when it was added, and links above it are its owner's business.
    let mut here = open(folder, step, Mode::empty())?;
    let mut components = relative.components().peekable();
    while let Some(component) = components.next() {
        let Component::Normal(name) = component else { return Err(io::ErrorKind::InvalidInput.into()) };
        let flags = match components.peek() {
            Some(_) => step | OFlags::NOFOLLOW,
            // Without NONBLOCK a pipe that took the file's place would keep us waiting for a writer.
            None => OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK,
        };
        here = openat(&here, name, flags, Mode::empty())?;
    }
    let file = File::from(here);
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::ErrorKind::InvalidInput.into()) }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn only_real_files_below_the_folder_open() {
        let world = tempfile::tempdir().unwrap();
        let folder = world.path().join("music");
        std::fs::create_dir_all(folder.join("a/b")).unwrap();
        std::fs::write(folder.join("a/b/song"), "la").unwrap();
        std::fs::write(world.path().join("secret"), "psst").unwrap();
        symlink(world.path(), folder.join("out")).unwrap();
        symlink(world.path().join("secret"), folder.join("link")).unwrap();
        symlink("b", folder.join("a/c")).unwrap();

        assert!(open_file(&folder, Path::new("a/b/song")).is_ok());
        for refused in
            ["", "a", "a/b", "out/secret", "link", "a/c/song", "../secret", "a/../../secret", "/etc/passwd", "nothing"]
        {
            assert!(open_file(&folder, Path::new(refused)).is_err(), "{refused}");
        }
    }
}
