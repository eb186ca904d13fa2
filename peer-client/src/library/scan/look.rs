//! Looking: what walks see, against what is known.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use super::super::folders::Presence;
use super::super::hash::{Place, Work};
use super::super::store::Fact;
use super::super::walk::{Extent, Found, Listing};
use super::super::watch::Noticed;
use super::Scanner;
use super::batch::More;
use super::compare::compare;
use super::read::Urgency;
use super::walker::{Manner, Seen, Walk, Walking};

impl Scanner {
    pub(super) fn walk_all(&mut self, share: i64) {
        self.walks.retain(|walk| walk.share != share);
        self.walks.push_back(Walk { share, start: PathBuf::new(), extent: Extent::Below });
    }

    pub(super) fn start_walk(&mut self) {
        if self.walking.is_none()
            && let Some(walk) = self.walks.pop_front()
            && let Some(root) = self.roots.get(&walk.share)
        {
            let manner = Manner {
                private: self.parts.private.clone(),
                noticed: self.noticed.0.clone(),
                polling_only: self.parts.options.polling_only,
                processors: self.processors,
            };
            self.walking = Some(Walking::begin(walk, root, manner));
            self.begin_round();
        }
    }

    pub(super) fn notice(&mut self, noticed: Noticed) {
        if let Some(root) = self.roots.get_mut(&noticed.share) {
            root.quiet.note(Instant::now(), noticed.directory, noticed.extent);
        }
    }

    /// Deals with what a walk has found. `None` is its end.
    pub(super) async fn see(&mut self, seen: Option<Seen>) {
        let Some(walking) = &mut self.walking else { return };
        let (share, extent) = (walking.walk.share, walking.walk.extent);
        match seen {
            Some(Seen::Present { marker, file_system, readers }) => {
                if let Some(root) = self.roots.get_mut(&share) {
                    (root.seen, root.file_system, root.readers) = (Some(marker), file_system, readers);
                }
                self.set_absent(share, false).await;
                // What was read must be known when it is missed.
                self.write(More::NotExpected).await;
            }
            Some(Seen::Absent) => {
                if let Some(root) = self.roots.get_mut(&share) {
                    root.watch_again();
                }
                self.set_absent(share, true).await;
            }
            Some(Seen::Watched(watched)) => {
                if let Some(root) = self.roots.get_mut(&share) {
                    root.watched(watched, self.parts.options.poll_every);
                }
            }
            Some(Seen::Listing(listing)) => {
                if let Err(error) = self.compare(share, extent, listing).await {
                    tracing::error!("the library cannot be compared with the disk: {error}");
                }
            }
            None => self.walking = None,
        }
    }

    pub(super) async fn set_absent(&mut self, share: i64, absent: bool) {
        let Some(root) = self.roots.get_mut(&share).filter(|root| root.share.absent != absent) else { return };
        tracing::info!(
            "the shared folder {} is {}",
            root.share.path.display(),
            if absent { "not there" } else { "back" }
        );
        root.share.absent = absent;
        // What was found in it before must not be published after it is gone.
        self.write(More::NotExpected).await;
        match self.parts.store.set_absent(share, absent).await {
            Ok(()) => self.tell_changed().await,
            Err(error) => tracing::error!("cannot note that a shared folder came or went: {error}"),
        }
    }

    /// A directory against what is known of it.
    pub(super) async fn compare(&mut self, share: i64, extent: Extent, listing: Listing) -> Result<(), sqlx::Error> {
        let Some(root) = self.roots.get_mut(&share) else { return Ok(()) };
        root.left_out.set(&listing.directory, listing.left_out);
        let inodes = root.file_system.inodes;
        let Listing { directory, mut files, folders, .. } = listing;
        files.iter_mut().for_each(|found| found.stamp = inodes.adapt(found.stamp));
        self.round.files_seen += files.len() as u64;

        // Directories in this one that are known to have files, and are not there any more or not looked into.
        let below = self.parts.store.directories_below(share, &directory).await?;
        let children = below.iter().filter_map(|path| path.strip_prefix(&directory).ok()?.iter().next());
        let children: HashSet<_> = children.map(ToOwned::to_owned).collect();
        for name in children.iter().filter(|name| !folders.contains(name)) {
            let directory = directory.join(name);
            if let Some(root) = self.roots.get_mut(&share) {
                root.left_out.forget(&directory);
            }
            self.note(Fact::DirectoryGone { share, directory });
        }
        // A new directory may have been there before we began to watch it.
        if extent == Extent::Here {
            for name in folders.iter().filter(|name| !children.contains(*name)) {
                self.walks.push_back(Walk { share, start: directory.join(name), extent: Extent::Below });
            }
        }

        let comparison = compare(files, self.parts.store.known_in(share, &directory).await?);
        let place = |name| Arc::new(Place { share, directory: directory.clone(), name });
        for (file, stamp) in comparison.back {
            self.note(Fact::Back { file: file.id, stamp });
        }
        for file in comparison.gone {
            self.note(Fact::Gone { file: file.id });
        }
        for file in comparison.to_describe {
            self.enqueue(place(file.name), 0, Work::Describe(file.content), Urgency::InTurn);
        }
        for Found { name, stamp } in comparison.changed {
            self.read_unless_growing(place(name), stamp);
        }
        for Found { name, stamp } in comparison.fresh {
            let place = place(name);
            if self.pending.contains(&place) {
                continue;
            }
            match self.parts.store.same_file(&stamp).await? {
                Some(content) => self.enqueue(place, 0, Work::Describe(content), Urgency::InTurn),
                None => self.read_unless_growing(place, stamp),
            }
        }
        Ok(())
    }

    /// Walks the folders that came, went, or were exchanged for others since they were looked at.
    pub(super) fn compare_presence(&mut self, looked: Vec<(i64, Presence)>) {
        for (share, presence) in looked {
            let Some(root) = self.roots.get_mut(&share) else { continue };
            let differs = match presence {
                Presence::Absent => !root.share.absent,
                Presence::Here { marker, .. } => root.share.absent || root.seen.is_some_and(|seen| seen != marker),
            };
            let lost_events = root.lost_events();
            if differs {
                root.watch_again();
            }
            if differs || lost_events {
                self.walk_all(share);
            }
        }
    }
}
