"""Words by which `privacy.telling_tokens` judges file names: common names of persons, and words of film collections."""

from __future__ import annotations

# Given names and surnames common in North America, Europe, Latin America, India, East Asia and the Arab world, without
# accents (words are folded before they are looked up). A list can only warn, it cannot prove that a name is absent.
NAMES = frozenset(
    """
    aaron abdul abdullah abigail adam adams adriana agnes ahmad ahmed aisha akira alan albert alberto alejandra
    alejandro aleksandra alessandro alex alexander alexandra alfred alice alicia alvarez amanda amelia amir amira
    amy ana anastasia anderson andersson andrea andreas andreev andrew andrzej angela angelika anita anja anna
    annette anne annika anthony antje antoine antonia antonio arjun arthur astrid ayse baker barbara bauer baumann
    beatriz becker bell bennett benjamin bernard bernd bertrand bianca birgit bjorn bonnet brandon brenda brian
    brigitte brooks brown bruno bryan camille campbell carla carlos carmen carol carolina caroline carter castillo
    castro catherine cecilia charles charlotte chatterjee chaudhary chavez chen cheng chiara chris christian
    christiane christina christine christopher claire clara clark claude claudia clemens collins concetta cook
    cooper cornelia costa cristina cruz cynthia dagmar daniel daniela danielle david davies davis deborah delgado
    deepak dennis derek desai diana diaz diego dieter dietrich dirk dmitri dolores dominik donald donna doris
    dorothea dorothy douglas doe dubois dupont durand dylan eberhard edith eduardo edward edwards eleanor elena
    elias elisa elisabeth elizabeth elke emil emily emma emmanuel enrique erika eric erik ernst esteban esther
    ethan eugene eva evans evelyn fabian fatima felipe felix fernandes fernandez fernando ferrari ferreira fischer
    flores florian foster fournier frances francesca francesco francis francisco franck francois frank franz
    fredrik friedrich fritz fujimoto fukuda gabriel gabriele garcia gareth george gerald gerhard gertrud giovanni
    girard gisela giulia giuseppe gloria gomes gomez gonzales gonzalez gordon greta gregory grzegorz guenther
    guillaume gunther gupta gustav gutierrez guzman haas hall hannah hans hansen haraldsson haruki harold hassan
    heather hector heidi heike heinrich heinz helen helena helga henri henry herbert hermann hernandez herrera
    hideo hiroshi hofer hoffman hoffmann hofmann holger howard huang huber hubert hughes hugo hussain hussein
    ibrahim ichiro ignacio ilse inge ingrid irene irina isaac isabel isabella isabelle ivan ivanov ivanova jack
    jackson jacob jacqueline jacques jaime jakob james jamila jane janet janina jansen janssen jasmin jason javier
    jean jeffrey jennifer jensen jeremy jerome jessica jesus jimenez joachim joanna joao jochen joel johan johann
    johanna johannes john johnson jonas jonathan jones jordan jorge jose josef joseph josephine joshua joyce juan
    juana judith judy juergen jurgen julia julian juliane julie julio justin kaiser kapoor karen karin karl karsten
    katarzyna katharina katherine kathleen kathrin kathryn katja katrin kaufmann kazuo keiko keith keller kelly
    kenji kenneth kevin khalid khan kim kimberly klaus klein kobayashi koch kohler konrad kovacs kowalczyk kowalski
    kraus krause krishna kristina krueger kruger kumar kurt kuznetsov kyle larsen larson larsson lars laura lauren
    laurent lawrence leah lee lefebvre lehmann lena leon leonard leonardo leroy leticia lewandowski lewis lina linda
    lisa liselotte lopes lopez lorenzo lothar louis louise luca lucas lucia luciana ludwig luigi luis luisa lukas
    lutz lydia magdalena mahmoud maier malgorzata manfred manuel manuela marc marcel marcela marcelo marco marcos
    marcus margaret margarita margarete margit maria mariana marianne mariam marie marina mario marion marjorie
    markus marta martha martin martina martinez martins marwan mary maryam masako masahiro mateo mathieu matteo
    matthew matthias maurice mauricio maximilian mayer mcdonald mehmet mei meier melanie melissa mendes mendez
    mendoza mercedes meyer mia michael michaela michal michel michele michelle miguel mikhail miller miriam mishra
    mitchell mohamed mohammad mohammed moller monica monika moore morales moreau morgan moritz morris moreno muhammad
    mueller muller murphy mustafa nadia nakamura nancy natalia natalie natasha nathalie nathan neumann nguyen nicholas
    nicola nicolas nicole nielsen niklas nikolai nikolaus nina noah noemi novak nowak oliveira oliver olivia olga
    olsen olsson omar ortega ortiz oscar oskar otto pablo pamela paola park parker patel patricia patrick paul paula
    pauline pavel pedro pereira perez peter petersen peterson petra petrov philip philipp philippe phillips pierre
    piotr popov priya rachel rafael rahman raimund rajesh ramesh ramirez ramos raphael raquel rashid raul raymond
    rebecca regina reiner reinhard renate rene reyes ricardo richard richter rita rivera robert roberta roberto
    roberts robinson rodolfo rodrigues rodriguez roger roland rolf romero ronald rosemarie rossi rudolf ruiz rupert
    ruth ryan sabine sabrina saito salvatore samantha samuel sanchez sandra sandro sanjay santiago santos sara sarah
    sasaki satoshi sato scarlett schaefer schafer schmid schmidt schmitt schmitz schneider schreiber schroeder
    schubert schulte schulz schulze schuster schwarz scott sebastian sergei sergio sharma sharon shigeru shimizu
    siegfried sigrid silva silvia simone singh smirnov smith sofia sonja sophia sophie soren souza stefan stefania
    stefano steffen stella stephanie stephen steven stewart stuart sunita susan susanne suzanne suzuki sven svetlana
    sylvia tadashi takahashi takashi takeshi tamara tanaka tanja tariq tatiana tatjana taylor teresa theodor theresa
    therese thomas thompson thorsten timothy tobias tomasz torres tran tsai ulrich ulrike ursula valentina valeria
    vanessa vargas vasquez verena veronica veronika victor victoria viktor vincent vincenzo virginia vladimir vogel
    volker wagner walker walter waltraud wang watanabe watson weber wei weiss wendy werner wilhelm williams wilson
    winkler wojciech wolfgang wright xavier yamada yamamoto yamashita yasmin yoko yolanda yoshida young yuki yuri
    yusuf yvonne zbigniew zhang zhao zheng zhou zhu zimmermann
    """.split()  # noqa: SIM905 (a list this long reads as text)
)

# What film collections write into names with a capital: never half of a person's name. Eponyms of bone disease stand
# here too, and win over the list above.
FILM_WORDS = frozenset(
    """
    abdomen abnormal acute anatomy ankle annotated annotation annotations anonymized anonymous anterior
    anteroposterior apical arm artery atelectasis atlas atypical augmented axial bacteria bacterial baseline benign
    biopsy bone bones bottom box boxes brain cardiomegaly case cases cavity center centre chest chondrosarcoma class
    clavicle clinic code cohort collection colles computed consolidation control contrast copy coronal covid crop
    cropped cyst data dataset datasets default delayed density dental department detection dev development diagnosis
    dicom digital distal down drawn edema effusion elbow emphysema enchondroma enhanced ewing example examples
    exostosis export external femoral femur fibroma fibrosis fibrous fibula file files film films final finding
    findings finger first follow followup folder foot forearm fracture fractured frontal garden giant gustilo hand
    head healthy hernia hip history hospital humerus identifier image images index infiltration initial injury
    institute internal jpeg jpg knee label labels lateral left leg lesion lesions level list long lower lung lungs
    lymphoma malignant manifest map mask masks mass mediastinum medical metadata metastasis middle model modified
    mottled multiple myeloma name negative neck new nih nodule non none normal not number oblique old opacity
    original ossifying osgood osteochondroma osteolytic osteomyelitis osteosarcoma other outer output overlay paget
    panorama part partition patella patient patients pediatric pelvis perthes phantom picture plain pleural
    pneumonia pneumothorax portable positive post posterior pre predicted prediction preop postop prepared
    preprocessed processed project prostate proximal public radiograph radiographs radiology radius raw reader
    rectangle reference region registered report resized result results rib ribs right round rsna rotated sagittal
    salter sample samples sarcoma scan scanner scans schatzker scheuermann schlatter score scout second segmentation
    sequence series set severe shoulder shot side simple single site skeleton skull small soft source spine split
    standing study subject supine surgery swelling synthetic system table target test testing thickening thigh
    thorax thumb tibia tissue tomography top toe total train training trauma tuberculosis tumor tumors tumour
    tumours type typical ulna ultrasound unknown upper upright validation version view views viral virus visit
    weber weight wrist xray yolo
    """.split()  # noqa: SIM905
)
