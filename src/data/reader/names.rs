//! Names of columns: what headers call users, items, ratings, times, events and titles.

use std::path::Path;

use super::Columns;
use crate::error::{Place, RecError, Result};

/// Names of one kind of column, the surest first: where a header has several, the one that stands
/// first here is taken. Case, blanks, `_`, `-`, `.` and the types of atomic files do not matter.
pub(super) struct Kind {
    /// What messages call it, and the keys `data.…_column` and flags `--…-column`.
    what: &'static str,
    /// The column that the user named.
    named: fn(&Columns) -> Option<&String>,
    names: &'static [&'static str],
}

#[rustfmt::skip]
pub(super) const USERS: Kind = Kind {
    what: "user",
    named: |columns| columns.user.as_ref(),
    names: &[
        "userid", "user", "uid", "userindex", "useridx", "userkey", "usercode", "username", "usr", "usrid",
        "reviewerid", "reviewer", "customerid", "customer", "custid", "cust", "customerkey", "customernumber",
        "clientid", "client", "visitorid", "visitor", "fullvisitorid", "accountid", "account", "memberid", "member",
        "personid", "person", "profileid", "householdid", "householdkey", "household", "listenerid", "listener",
        "viewerid", "viewer", "readerid", "reader", "buyerid", "buyer", "shopperid", "shopper", "consumerid",
        "consumer", "subscriberid", "subscriber", "playerid", "player", "studentid", "student", "learnerid",
        "patronid", "patron", "raterid", "rater", "voterid", "voter", "guestid", "guest", "anonymousid", "distinctid",
        "deviceid", "device", "cookieid", "cookie", "authorid", "author", "u",
    ],
};

/// Read as users where no column has one of the names above.
#[rustfmt::skip]
pub(super) const SESSIONS: Kind = Kind {
    what: "user",
    named: |columns| columns.user.as_ref(),
    names: &["sessionid", "session", "usersession", "sessid", "sid", "visitid", "visit"],
};

#[rustfmt::skip]
pub(super) const ITEMS: Kind = Kind {
    what: "item",
    named: |columns| columns.item.as_ref(),
    names: &[
        "itemid", "item", "iid", "itemindex", "itemidx", "itemkey", "itemcode", "movieid", "movie", "productid",
        "product", "productcode", "productkey", "prodid", "asin", "parentasin", "sku", "skuid", "stockcode", "isbn",
        "bookid", "book", "goodsid", "goods", "articleid", "article", "aid", "businessid", "business", "videoid",
        "video", "newsid", "news", "contentid", "content", "trackid", "track", "traid", "songid", "song", "albumid",
        "album", "artistid", "artist", "artid", "podcastid", "podcast", "episodeid", "episode", "showid", "show",
        "recipeid", "recipe", "animeid", "anime", "mangaid", "manga", "gameid", "game", "appid", "app", "offerid",
        "offer", "couponid", "coupon", "venueid", "venue", "poiid", "poi", "placeid", "locationid", "restaurantid",
        "restaurant", "hotelid", "hotel", "listingid", "listing", "jobid", "job", "courseid", "course", "postid",
        "post", "pageid", "page", "documentid", "document", "docid", "doc", "beerid", "beer", "wineid", "wine",
        "filmid", "film", "itemname", "productname", "url", "i",
    ],
};

#[rustfmt::skip]
pub(super) const RATINGS: Kind = Kind {
    what: "rating",
    named: |columns| columns.rating.as_ref(),
    names: &[
        "rating", "ratings", "userrating", "bookrating", "movierating", "reviewrating", "reviewoverall", "starrating",
        "stars", "star", "overall", "score", "reviewscore", "label", "weight", "watchratio", "playcount",
        "playcounts", "plays", "listencount", "listens", "viewcount", "views", "clickcount", "clicks", "click",
        "count", "counts", "cnt", "quantity", "qty", "frequency", "preference", "r",
    ],
};

#[rustfmt::skip]
pub(super) const TIMES: Kind = Kind {
    what: "time",
    named: |columns| columns.time.as_ref(),
    names: &[
        "timestamp", "time", "times", "unixtime", "unixtimestamp", "unixreviewtime", "timestampms", "timems",
        "datetime", "ts", "tsms", "utcts", "eventtime", "eventtimestamp", "eventdate", "eventts", "createdat",
        "createtime", "created", "creationtime", "creationdate", "reviewtime", "reviewdate", "ratedat", "ratingtime",
        "clicktime", "visittime", "visitdate", "visitstarttime", "playedat", "listenedat", "watchedat", "viewedat",
        "purchasedat", "purchasetime", "purchasedate", "orderedat", "ordertime", "orderdate", "invoicedate",
        "transactiontime", "transactiondate", "tdat", "submittedat", "submitted", "submissiontime", "submissiondate",
        "loggedat", "occurredat", "servertime", "updatedat", "date", "dt", "day", "t",
    ],
};

/// What a row is an event of.
pub(super) const EVENTS: Kind = Kind {
    what: "event",
    named: |_| None,
    names: &[
        "event",
        "eventtype",
        "eventname",
        "action",
        "actiontype",
        "behavior",
        "behaviortype",
        "behaviour",
        "interaction",
        "interactiontype",
        "type",
    ],
};

pub(super) const TITLES: Kind = Kind {
    what: "title",
    named: |columns| columns.title.as_ref(),
    names: &["title", "name", "movietitle", "itemtitle", "itemname", "productname", "movie"],
};

/// The column of users, sessions where there is none.
pub(super) fn user_column(header: &[&str], columns: &Columns, place: &Place) -> Result<Option<usize>> {
    match find(header, columns, &USERS, place)? {
        None => find(header, columns, &SESSIONS, place),
        found => Ok(found),
    }
}

/// True where the names of a header say that its users are sessions.
pub(super) fn names_sessions(header: &[&str], columns: &Columns) -> bool {
    let place = Place::file(Path::new("header"));
    let user = user_column(header, columns, &place).ok().flatten();
    user.is_some_and(|user| SESSIONS.names.contains(&plain(header[user]).as_str()))
}

/// The positions of an item's name and title in a header.
pub(super) fn title_columns(header: &[&str], columns: &Columns, place: &Place) -> Result<Option<(usize, usize)>> {
    let item = find(header, columns, &ITEMS, place)?;
    let title = find(header, columns, &TITLES, place)?;
    Ok(item.zip(title).filter(|(item, title)| item != title))
}

/// The column that the user named, or the one with the surest of the known names.
///
/// # Errors
/// [`RecError::Input`] when the column that the user named is not there.
pub(super) fn find(header: &[&str], columns: &Columns, kind: &Kind, place: &Place) -> Result<Option<usize>> {
    let plain_names: Vec<String> = header.iter().map(|name| plain(name)).collect();
    let position = |wanted: &str| plain_names.iter().position(|name| name == wanted);
    let Some(named) = (kind.named)(columns) else {
        // A column that the user gave a meaning has no other.
        let named = [&columns.user, &columns.item, &columns.rating, &columns.time].into_iter().flatten();
        let taken: Vec<String> = named.map(|name| plain(name)).collect();
        let free = kind.names.iter().filter(|known| !taken.iter().any(|name| name == *known));
        return Ok(free.into_iter().find_map(|known| position(known)));
    };
    // As it is written, or else but for its case and blanks.
    let exact = header.iter().position(|name| name.trim() == named);
    let alike = || Some(plain(named)).filter(|named| !named.is_empty()).and_then(|named| position(&named));
    match exact.or_else(alike) {
        Some(column) => Ok(Some(column)),
        None => Err(RecError::input(
            place.clone(),
            format!("the columns {}", header.join(", ")),
            format!("a column {named}, which data.{}_column names", kind.what),
        )),
    }
}

/// True where a header has a name that users or items are known by.
pub(super) fn names_some(header: &[&str]) -> bool {
    let known = |name: &str| [&USERS, &SESSIONS, &ITEMS].iter().any(|kind| kind.names.contains(&name));
    // A letter alone may be anybody's name.
    header.iter().map(|name| plain(name)).any(|name| name.len() > 1 && known(&name))
}

/// The error for a header in which the columns of users and items are not both known: which columns
/// there are, and how they are named.
pub(super) fn unknown_header(header: &[&str], columns: &Columns, place: Place) -> RecError {
    let name = |column: Result<Option<usize>>| column.ok().flatten().map(|column| header[column].trim());
    let user = name(user_column(header, columns, &place));
    let item = name(find(header, columns, &ITEMS, &place));
    let (expected, todo) = match (user, item) {
        (Some(user), None) => (format!("a column of items beside {user}, that of users"), "name it with --item-column"),
        (None, Some(item)) => (format!("a column of users beside {item}, that of items"), "name it with --user-column"),
        _ => (
            "a header with a column of users and a column of items".to_string(),
            "name them with --user-column and --item-column",
        ),
    };
    let names: Vec<&str> = header.iter().map(|name| name.trim()).collect();
    RecError::input(place, format!("the columns {}", names.join(", ")), expected).with_todo(format!(
        "{todo} (data.user_column, data.item_column), or use the format pairs if the first line is a row"
    ))
}

/// The types that atomic files write behind names; exports of them as csv keep them.
pub(super) const TYPES: [&str; 4] = ["token", "token_seq", "float", "float_seq"];

/// A name without what does not matter: case, blanks, `_`, `-`, `.` and a type.
pub(in crate::data) fn plain(name: &str) -> String {
    let name = match name.trim().rsplit_once(':') {
        Some((name, kind)) if TYPES.contains(&kind) => name,
        _ => name,
    };
    name.chars().filter(|c| !matches!(c, '_' | '-' | '.') && !c.is_whitespace()).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::super::layout::Layout;
    use super::*;

    /// Headers of public data sets and of common exports, and the columns that each should give:
    /// user, item, rating (or weight, or count), time, event.
    #[rustfmt::skip]
    const HEADERS: [(&str, &str, &str, &str, &str, &str); 29] = [
        ("SessionId,ItemId,Time", "SessionId", "ItemId", "", "Time", ""),
        ("session_id,aid,ts,type", "session_id", "aid", "", "ts", "type"),
        ("User-ID,ISBN,Book-Rating", "User-ID", "ISBN", "Book-Rating", "", ""),
        ("user_id,business_id,stars,date", "user_id", "business_id", "stars", "date", ""),
        ("user_id,video_id,watch_ratio,timestamp", "user_id", "video_id", "watch_ratio", "timestamp", ""),
        ("customer_id,article_id,price,t_dat", "customer_id", "article_id", "", "t_dat", ""),
        ("user_id,anime_id,rating", "user_id", "anime_id", "rating", "", ""),
        ("userID,artistID,weight", "userID", "artistID", "weight", "", ""),
        ("user_id,news_id,click,time", "user_id", "news_id", "click", "time", ""),
        ("customer,product,qty", "customer", "product", "qty", "", ""),
        ("CustomerID,StockCode,Quantity,InvoiceDate", "CustomerID", "StockCode", "Quantity", "InvoiceDate", ""),
        ("timestamp,visitorid,event,itemid,transactionid", "visitorid", "itemid", "", "timestamp", "event"),
        ("reviewerID,asin,overall,unixReviewTime", "reviewerID", "asin", "overall", "unixReviewTime", ""),
        ("UserID,MovieID,Rating,Timestamp", "UserID", "MovieID", "Rating", "Timestamp", ""),
        ("userid,itemid,eventdate", "userid", "itemid", "", "eventdate", ""),
        ("user,track,playcount", "user", "track", "playcount", "", ""),
        ("author,parent_asin,rating,timestamp", "author", "parent_asin", "rating", "timestamp", ""),
        ("member_id,recipe_id,rating,submitted", "member_id", "recipe_id", "rating", "submitted", ""),
        ("account_id,content_id,event_time,event_type", "account_id", "content_id", "", "event_time", "event_type"),
        ("uid,iid,r,t", "uid", "iid", "r", "t", ""),
        ("visitor,sku,created_at", "visitor", "sku", "", "created_at", ""),
        ("userId,movieId,rating,timestamp", "userId", "movieId", "rating", "timestamp", ""),
        ("user_id:token,item_id:token,rating:float,timestamp:float",
            "user_id:token", "item_id:token", "rating:float", "timestamp:float", ""),
        ("listener,song,plays", "listener", "song", "plays", "", ""),
        ("client_id,offer_id,ts_ms", "client_id", "offer_id", "", "ts_ms", ""),
        ("household_key,PRODUCT_ID,QUANTITY,DAY", "household_key", "PRODUCT_ID", "QUANTITY", "DAY", ""),
        ("user_id,order_id,product_id,add_to_cart_order", "user_id", "product_id", "", "", ""),
        ("personId,contentId,eventType,timestamp", "personId", "contentId", "", "timestamp", "eventType"),
        ("user_session,product_id,event_type,event_time,category_code",
            "user_session", "product_id", "", "event_time", "event_type"),
    ];

    #[test]
    fn headers_of_public_data_are_understood_without_a_flag() {
        let place = Place::line(Path::new("f"), 1);
        for (header, user, item, rating, time, event) in HEADERS {
            let names: Vec<&str> = header.split(',').collect();
            let layout = Layout::from_header(&names, &Columns::default(), &place).unwrap();
            let layout = layout.unwrap_or_else(|| panic!("{header} is not understood"));
            let name = |column: Option<usize>| column.map_or("", |column| names[column]);
            let found = [Some(layout.user), Some(layout.item), layout.rating, layout.time, layout.event].map(name);
            assert_eq!(found, [user, item, rating, time, event], "{header}");
        }
    }

    #[test]
    fn a_name_is_known_as_one_kind_alone_and_written_as_it_is_compared() {
        let kinds = [&USERS, &SESSIONS, &ITEMS, &RATINGS, &TIMES, &EVENTS];
        let mut all: Vec<&str> = kinds.iter().flat_map(|kind| kind.names).copied().collect();
        assert!(all.iter().all(|name| plain(name) == *name));
        let n = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), n, "a name stands in two lists");
    }

    #[test]
    fn the_surest_name_wins_wherever_it_stands() {
        let place = Place::line(Path::new("f"), 1);
        let layout = |header: &[&str]| Layout::from_header(header, &Columns::default(), &place).unwrap().unwrap();
        let reviews = layout(&["author", "date", "user_id", "album", "item.id", "timestamp"]);
        assert_eq!((reviews.user, reviews.item, reviews.time), (2, 4, Some(5)));
    }
}
