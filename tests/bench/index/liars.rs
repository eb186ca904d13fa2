//! A thousand keys of twenty networks give a popular song a false name, thirty honest ones of thirty networks its own.

use harness::load::liars::{Lie, shown_title};

pub(crate) fn measure() -> anyhow::Result<String> {
    let lie = Lie { liars: 1_000, liars_networks: 20, honest: 30 };
    let shown = tokio::runtime::Runtime::new()?.block_on(shown_title(&harness::TestIndex::start(), lie))?;
    Ok(format!(
        "| liars | their networks | honest, each of a network of its own | the name that is shown |\n|---|---|---|---|\n\
         | {} | {} | {} | {shown} |\n",
        lie.liars, lie.liars_networks, lie.honest
    ))
}
