//! Does what the operator asks for.
//!
//! Whatever changes something leaves a line in the record, in the transaction that changes it or right after it.
//! What strangers wrote is made fit for a terminal.

use choir_shared::PeerId;
use choir_shared::album::album_key;
use choir_shared::text::escape_controls;

use super::request::Request;
use super::{INVITE_DAYS, INVITE_USES};
use crate::clock::{day, now_unix_s};
use crate::index::Index;
use crate::settings::Access;
use crate::store::{
    Ban, BanTarget, Block, BlockTarget, DisplayName, InvalidBlockTarget, InvalidName, Invite, Joined, Member, Named,
    OwnQuota, RenameError, Report, StoreError, Which, invite_label,
};

const DAY_S: u64 = 24 * 60 * 60;

/// Reasons and outcomes are a sentence or two; some are sent to peers.
const MAX_REASON_BYTES: usize = 500;

/// Every client is sent it.
const MAX_MESSAGE_BYTES: usize = 2000;

/// More than anybody reads at once.
const MAX_LISTED: u32 = 10_000;

#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    #[error("{0}")]
    Store(#[from] StoreError),
    #[error("a ban names a peer by its key, or a network as address/bits")]
    Target,
    #[error("there is no such ban")]
    NoSuchBan,
    #[error("{0}")]
    BlockTarget(#[from] InvalidBlockTarget),
    #[error("the index does not know the file {0}, so name the {1} itself")]
    UnknownFile(String, &'static str),
    #[error("there is no such block")]
    NoSuchBlock,
    #[error("there is no such invite, or more than one begins so")]
    NoSuchInvite,
    #[error("no such member: {0}")]
    NoSuchMember(String),
    #[error("nobody has the name {name}, but {other} looks like it and is {peer}")]
    LooksLike { name: String, other: String, peer: PeerId },
    #[error("{0}")]
    Name(#[from] InvalidName),
    #[error("{0}")]
    Rename(#[from] RenameError),
    #[error("this member has no name")]
    NoName,
    #[error("report {0} does not wait")]
    NoSuchReport(u64),
    #[error("at most {0} bytes, please")]
    TooLong(usize),
    #[error("the answer could not be written down")]
    Unwritable(#[from] serde_json::Error),
}

pub(super) async fn obey(index: &Index, request: Request) -> Result<String, Refusal> {
    let now = now_unix_s();
    match request {
        Request::Link => link(index).await,
        Request::Invite { uses, days, by } => {
            let by = match by {
                Some(by) => Some(member(index, &by).await?.peer),
                None => None,
            };
            let invite = invite(index, uses, days, by.as_ref()).await?;
            let link = index.join_host.link(index.keys.index_key(), Some(invite.clone()));
            Ok(format!("{invite}\n{link}"))
        }
        Request::Invites => {
            Ok(lines(index.store.live_invites(now).await?.iter().map(describe_invite), "no invite lets anybody in"))
        }
        Request::Revoke { invite } => revoke(index, &invite).await,
        Request::Members => {
            let members = index.store.members().await?;
            Ok(lines(members.iter().map(describe_member), "nobody is a member yet"))
        }
        Request::Ban { target, reason, days } => {
            let target: BanTarget = target.parse().map_err(|_| Refusal::Target)?;
            ban(index, target, &reason, days).await?;
            Ok(format!("banned {target}"))
        }
        Request::BanBranch { peer, reason, days } => {
            let peer = key(index, &peer).await?;
            let branch = index.store.branch(&peer).await?;
            for peer in &branch {
                ban(index, BanTarget::Peer(*peer), &reason, days).await?;
            }
            Ok(lines(branch.iter().map(|peer| format!("banned {peer}")), ""))
        }
        Request::Unban { target } => {
            let target: BanTarget = target.parse().map_err(|_| Refusal::Target)?;
            if !index.roster.unban(&target).await? {
                return Err(Refusal::NoSuchBan);
            }
            Ok(format!("lifted the ban of {target}"))
        }
        Request::Bans => {
            let bans = index.store.bans().await?;
            Ok(lines(bans.iter().filter(|ban| !ban.is_over(now)).map(describe_ban), "nobody is banned"))
        }
        Request::Block { kind, value, reason } => {
            let target = block_target(index, &kind, &value).await?;
            let block = Block { target: target.clone(), reason: short(reason)? };
            index.store.block(block.clone(), now).await?;
            index.blocks.add(block);
            let files = index.enforce_blocks().await?;
            Ok(format!("blocked {target}: {files} more {} hidden", if files == 1 { "file is" } else { "files are" }))
        }
        Request::Unblock { kind, value } => {
            let target = block_target(index, &kind, &value).await?;
            if !index.store.unblock(&target, now).await? {
                return Err(Refusal::NoSuchBlock);
            }
            index.blocks.lift(&target);
            index.enforce_blocks().await?;
            Ok(format!("lifted the block of {target}"))
        }
        Request::Blocks => {
            let blocks = index.store.blocks().await?;
            let describe = |block: &Block| format!("{}  {}", block.target, block.reason);
            Ok(lines(blocks.iter().map(describe), "nothing is blocked"))
        }
        Request::Reports { all } => {
            let which = if all { Which::All } else { Which::Waiting };
            let reports = index.store.reports(which, MAX_LISTED).await?;
            Ok(lines(reports.iter().map(describe_report), "no report waits"))
        }
        Request::CloseReport { no, outcome } => {
            if !index.store.close_report(no, &short(outcome)?, now).await? {
                return Err(Refusal::NoSuchReport(no));
            }
            Ok(format!("closed report {no}"))
        }
        Request::Name { peer } => {
            let Member { peer, name, .. } = member(index, &peer).await?;
            Ok(format!("{peer}  {}", shown(name.as_deref())))
        }
        Request::Rename { peer, name } => {
            let (member, name) = (member(index, &peer).await?, DisplayName::new(&name)?);
            index.store.rename(&member.peer, &name, now).await?;
            index.store.note(format!("named {} {}", member.peer, name.as_str()), now).await?;
            Ok(format!("{} is {} now", member.peer, name.as_str()))
        }
        Request::FreeName { peer } => {
            let member = member(index, &peer).await?;
            if !index.store.free_name(&member.peer, now).await? {
                return Err(Refusal::NoName);
            }
            Ok(format!("{} has no name any more", member.peer))
        }
        Request::Quota { peer } => {
            let member = member(index, &peer).await?;
            Ok(format!("{}  {}", member.peer, index.roster.own_quota(member.no)))
        }
        Request::SetQuota { peer, files, changes_per_minute } => {
            let member = member(index, &peer).await?;
            let quota = index.roster.own_quota(member.no).with(OwnQuota { files, changes_per_minute });
            set_quota(index, &member, quota).await
        }
        Request::ResetQuota { peer } => {
            let member = member(index, &peer).await?;
            set_quota(index, &member, OwnQuota::default()).await
        }
        Request::MessageOfTheDay { text: None } => Ok(index.message_of_the_day().unwrap_or_default()),
        Request::MessageOfTheDay { text: Some(text) } => {
            if text.len() > MAX_MESSAGE_BYTES {
                return Err(Refusal::TooLong(MAX_MESSAGE_BYTES));
            }
            index.store.set_message_of_the_day(&text, now).await?;
            let said = if text.is_empty() { "there is no message of the day any more" } else { "said" };
            index.set_message_of_the_day(text);
            Ok(said.to_owned())
        }
        Request::Export { peer } => {
            let peer = key(index, &peer).await?;
            let export = index.store.export(&peer).await?;
            index.store.note(format!("exported what is kept of {peer}"), now).await?;
            Ok(serde_json::to_string_pretty(&export)?)
        }
        Request::Erase { peer } => {
            let member = member(index, &peer).await?;
            index.erase(member.peer, member.no).await?;
            index.store.note(format!("erased {}", member.peer), now).await?;
            Ok(format!("erased {}", member.peer))
        }
        Request::Audit { limit } => {
            let entries = index.store.audit(limit.min(MAX_LISTED)).await?;
            let describe = |entry: &crate::store::AuditEntry| {
                format!("{}  {}", day(entry.time_unix_s), escape_controls(&entry.what))
            };
            Ok(lines(entries.iter().map(describe), "nothing was done yet"))
        }
    }
}

async fn link(index: &Index) -> Result<String, Refusal> {
    let invite = match index.settings.access {
        Access::Invite => Some(invite(index, INVITE_USES, INVITE_DAYS, None).await?),
        _ => None,
    };
    Ok(index.join_host.link(index.keys.index_key(), invite).to_string())
}

async fn invite(index: &Index, uses: u32, days: u32, by: Option<&PeerId>) -> Result<String, StoreError> {
    let now = now_unix_s();
    index.store.create_invite(uses, now + u64::from(days) * DAY_S, by, now).await
}

async fn revoke(index: &Index, label: &str) -> Result<String, Refusal> {
    let now = now_unix_s();
    let invites = index.store.live_invites(now).await?;
    let mut meant = invites.iter().filter(|invite| !label.is_empty() && invite.hash.to_string().starts_with(label));
    let (Some(invite), None) = (meant.next(), meant.next()) else { return Err(Refusal::NoSuchInvite) };
    index.store.revoke_invite(&invite.hash, now).await?;
    Ok(format!("revoked {}", invite_label(&invite.hash)))
}

async fn set_quota(index: &Index, member: &Member, quota: OwnQuota) -> Result<String, Refusal> {
    index.roster.set_own_quota(member.no, quota).await?;
    Ok(format!("the quota of {}: {quota}", member.peer))
}

async fn ban(index: &Index, target: BanTarget, reason: &str, days: Option<u32>) -> Result<(), Refusal> {
    let until_unix_s = days.map(|days| now_unix_s() + u64::from(days) * DAY_S);
    index.roster.ban(Ban { target, reason: short(reason.to_owned())?, until_unix_s }).await?;
    match &target {
        BanTarget::Peer(peer) => {
            let member = index.store.member(peer).await?.map(|member| member.no);
            index.expel(peer, member).await;
        }
        BanTarget::Prefix(network) => index.expel_network(network).await,
    }
    Ok(())
}

/// An audio and an album may be named by a file that the index knows.
async fn block_target(index: &Index, kind: &str, value: &str) -> Result<BlockTarget, Refusal> {
    let kind_of_file = match kind {
        "audio" => "audio",
        "album" => "album",
        _ => return Ok(BlockTarget::parse(kind, value)?),
    };
    let Ok(file) = value.parse() else { return Ok(BlockTarget::parse(kind, value)?) };
    let unknown = || Refusal::UnknownFile(value.to_owned(), kind_of_file);
    let number = index.store.file_no(&file).await?.ok_or_else(unknown)?;
    let claim = index.store.files_by_no(&[number]).await?.pop().ok_or_else(unknown)?.claim;
    match kind_of_file {
        "audio" => claim.audio.map(|audio| BlockTarget::Audio(audio.root)).ok_or_else(unknown),
        _ => album_key(&claim).map(BlockTarget::Album).ok_or_else(unknown),
    }
}

/// A key, or the key of whoever has this very name.
async fn key(index: &Index, who: &str) -> Result<PeerId, Refusal> {
    match who.parse() {
        Ok(peer) => Ok(peer),
        Err(_) => Ok(member(index, who).await?.peer),
    }
}

async fn member(index: &Index, who: &str) -> Result<Member, Refusal> {
    let nobody = || Refusal::NoSuchMember(escape_controls(who).into());
    if let Ok(peer) = who.parse() {
        return index.store.member(&peer).await?.ok_or_else(nobody);
    }
    let name = DisplayName::new(who).map_err(|_| nobody())?;
    match index.store.named(&name).await? {
        Some(Named::Exactly(member)) => Ok(member),
        Some(Named::LooksLike(member)) => Err(Refusal::LooksLike {
            name: name.as_str().to_owned(),
            other: member.name.unwrap_or_default(),
            peer: member.peer,
        }),
        None => Err(nobody()),
    }
}

fn short(text: String) -> Result<String, Refusal> {
    if text.len() <= MAX_REASON_BYTES { Ok(text) } else { Err(Refusal::TooLong(MAX_REASON_BYTES)) }
}

fn describe_invite(invite: &Invite) -> String {
    let by = inviter(invite.created_by.as_ref());
    let (label, until) = (invite_label(&invite.hash), day(invite.expires_unix_s));
    let suspended = if invite.suspended { ", who is banned: nobody until that is over" } else { "" };
    format!("{label}  lets {} in until {until}  {by}{suspended}", invite.uses_left)
}

fn describe_member(joined: &Joined) -> String {
    let Joined { member, invite, invited_by, quota } = joined;
    let how = match invite {
        Some(invite) => format!("invite {}  {}", invite_label(invite), inviter(invited_by.as_ref())),
        None => "without an invite".to_owned(),
    };
    let own = if *quota == OwnQuota::default() { String::new() } else { format!("  {quota}") };
    format!("{}  {}  since {}  {how}{own}", member.peer, shown(member.name.as_deref()), day(member.created_unix_s))
}

fn inviter(by: Option<&PeerId>) -> String {
    by.map_or_else(|| "by the operator".to_owned(), |by| format!("by {by}"))
}

fn describe_ban(ban: &Ban) -> String {
    let until = ban.until_unix_s.map_or_else(|| "for good".to_owned(), |until| format!("until {}", day(until)));
    format!("{}  {until}  {}", ban.target, ban.reason)
}

fn describe_report(report: &Report) -> String {
    let about = [report.file.map(|file| format!("file {file}")), report.peer.map(|peer| format!("peer {peer}"))];
    let about: Vec<String> = about.into_iter().flatten().collect();
    let by = report.reporter.map_or_else(|| "somebody erased since".to_owned(), |peer| peer.to_string());
    let outcome = report.outcome.as_ref().map(|outcome| format!("  closed: {outcome}")).unwrap_or_default();
    let details = escape_controls(&report.details);
    let when = day(report.time_unix_s);
    format!("{}  {when}  {}  {}  by {by}  {details}{outcome}", report.no, report.reason, about.join(", "))
}

fn shown(name: Option<&str>) -> &str {
    name.unwrap_or("(no name)")
}

fn lines(lines: impl Iterator<Item = String>, none: &str) -> String {
    let lines: Vec<String> = lines.collect();
    if lines.is_empty() { none.to_owned() } else { lines.join("\n") }
}
