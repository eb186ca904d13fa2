//! Forgetting what members share who have stayed away for long.

use choir_shared::PeerId;

use super::Index;
use crate::auth::SESSION_SECONDS;
use crate::store::{Forgotten, MemberNo, StoreError};

const DAY_S: u64 = 24 * 60 * 60;

impl Index {
    /// Whoever was last seen before this has been away for longer than libraries are kept. Members are seen when they
    /// log in, and need not do so again for as long as a session lasts.
    pub(crate) fn absent_since(&self, now_unix_s: u64) -> u64 {
        let kept_s = u64::from(self.settings.limits.offline_library_days.get()) * DAY_S;
        now_unix_s.saturating_sub(kept_s + SESSION_SECONDS)
    }

    /// Forgets a part of what an absent member shares. Whoever is here, although the last login is long ago, counts as
    /// seen now.
    pub(crate) async fn forget_some(
        &self,
        peer: &PeerId,
        member: MemberNo,
        now_unix_s: u64,
    ) -> Result<Forgotten, StoreError> {
        let _library = self.library(member).await;
        if self.has_place(peer, member) {
            self.store.touch(peer, now_unix_s).await?;
            return Ok(Forgotten::Nothing);
        }
        self.store.forget_some(member, self.absent_since(now_unix_s)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::caller::Caller;
    use crate::control::Line;
    use crate::index::testing;
    use crate::origin::Origin;
    use crate::store::testing::{NOW, World, song};
    use crate::sweeper::forget_absent;

    #[tokio::test]
    async fn libraries_are_forgotten_after_a_month_but_not_of_who_is_here() {
        let world = World::new().await;
        let (mut anna, mut bert) = (world.member(1).await, world.member(2).await);
        anna.share(&world, &[(1, &song("One"))]).await;
        bert.share(&world, &[(2, &song("Two"))]).await;
        let index = testing::index(&world).await;
        let origin = Origin::of([127, 0, 0, 1].into());
        let (line, _said) = Line::new(origin);
        let caller = Caller { peer: anna.peer(), member: anna.no, origin };
        let attendance = index.arrive(&caller, line).await.unwrap().unwrap();
        let shared = async |member| world.store.holdings(member).await.unwrap().len();

        let month = NOW + 30 * DAY_S;
        assert_eq!(forget_absent(&index, month).await.unwrap(), 0, "a session may have lasted until then");
        let over = month + SESSION_SECONDS + 1;
        assert_eq!(forget_absent(&index, over).await.unwrap(), 1);
        assert_eq!((shared(anna.no).await, shared(bert.no).await), (1, 0));

        attendance.leave().await;
        assert_eq!(forget_absent(&index, over + 29 * DAY_S).await.unwrap(), 0, "she was here just now");
        assert_eq!(forget_absent(&index, over + 32 * DAY_S).await.unwrap(), 1);
        assert_eq!(shared(anna.no).await, 0);
    }
}
