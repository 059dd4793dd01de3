//! Orders and questions about moves of slots.
//!
//! Bounds: those of `orders.rs`; to begin a move, other proxies and servers are asked, each within
//! a limit.

use actix_web::http::StatusCode;
use actix_web::web::Payload;
use actix_web::{HttpRequest, web};
use mover::{MoveRequest, MoverActor, MoverError, StartMove, SteerMove, Wish};
use serde_json::json;

use crate::Admin;
use crate::orders::{FILL_ANSWER_TIMEOUT, accept, accept_for_slots, read};
use crate::reply::{self, Answer, Refusal};
use crate::security::check_xauth;
use crate::view;

type AdminData = web::Data<Admin>;

/// `POST slots/move`: moves slots. Answered when the move is checked and kept; it has a number.
pub(crate) async fn start(request: HttpRequest, admin: AdminData, body: Payload) -> Answer {
    accept_for_slots(&request, &admin, "slots/move")?;
    let body = read(&request, body).await?;
    let order: MoveRequest =
        serde_json::from_slice(&body).map_err(|error| Refusal::new(format!("body: {error}")))?;
    let started = mover(&admin)?.send(StartMove(order)).timeout(FILL_ANSWER_TIMEOUT).await;
    let started = started.map_err(|_| {
        Refusal::new("servers or proxies take too long, the move may begin all the same")
    })?;
    let id = started.map_err(refused)?;
    Ok(reply::json_with(StatusCode::OK, &json!({ "id": id })))
}

/// `GET slots/moves`: all moves.
pub(crate) async fn list(request: HttpRequest, admin: AdminData) -> Answer {
    check_xauth(&request, &admin)?;
    Ok(reply::json(&view::moves(&admin).await?))
}

/// `PUT slots/move/{id}/pause`, `resume` and `cancel`.
pub(crate) async fn steer(request: HttpRequest, admin: AdminData) -> Answer {
    accept(&request, &admin, "slots/move/steer")?;
    let part = |name| request.match_info().get(name).unwrap_or_default();
    let id = part("id").parse();
    let id = id.map_err(|_| Refusal::new(format!("`{}` is no number of a move", part("id"))))?;
    let wish = match part("wish") {
        "pause" => Wish::Pause,
        "resume" => Wish::Resume,
        "cancel" => Wish::Cancel,
        other => {
            let text = format!("`{other}` is none of `pause`, `resume` and `cancel`");
            return Err(Refusal::new(text));
        }
    };
    let steered = mover(&admin)?.send(SteerMove { id, wish }).timeout(FILL_ANSWER_TIMEOUT).await;
    let steered = steered.map_err(|_| Refusal::new("the disk takes too long, see the log"))?;
    steered.map(|()| reply::ok()).map_err(refused)
}

fn mover(admin: &Admin) -> Result<&actix::Addr<MoverActor>, Refusal> {
    admin.mover.as_ref().ok_or_else(|| refused(MoverError::NoStateDir))
}

// Errors are handed over whole by `map_err`.
#[expect(clippy::needless_pass_by_value, reason = "the signature is that of `map_err`")]
fn refused(error: MoverError) -> Refusal {
    Refusal::new(error.to_string())
}
